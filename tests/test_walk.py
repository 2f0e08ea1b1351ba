"""Walks of the supplementary frames: statistics of the dynamics, ends, streams."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from polymorphkd.config import validate
from polymorphkd.errors import ConfigError
from polymorphkd.frames import Frames, concatenate, from_atoms
from polymorphkd.settings import Relabel
from polymorphkd.teacher.committee import SPREAD
from polymorphkd.teacher.relabel import relabel
from polymorphkd.teacher.walk import walk

STIFFNESS = 6.0  # eV/Å^2


class Einstein:
    """Every atom on its own spring to a site of a simple cubic lattice of 3 Å."""

    def __init__(self, spread_beyond: float = np.inf) -> None:
        self.spread_beyond = spread_beyond  # Å

    def predict(self, frames: Frames) -> Frames:
        result = frames.take(np.arange(len(frames)))
        away = result.positions - 3.0 * np.rint(result.positions / 3.0)
        squares = (away**2).sum(axis=1)
        result.energy = 0.5 * STIFFNESS * np.add.reduceat(squares, result.offsets[:-1])
        result.forces = -STIFFNESS * away
        result.stress = np.zeros((len(result), 6))
        furthest = np.sqrt(np.maximum.reduceat(squares, result.offsets[:-1]))
        return result.with_meta(**{SPREAD: (furthest > self.spread_beyond).astype(float) * 9})


def crystals(n: int, seed: int = 0) -> Frames:
    random = np.random.default_rng(seed)
    images = []
    for i in range(n):
        image = bulk("Al", "sc", 3.0) * (2, 2, 1 + i % 2)
        image.rattle(0.01, rng=random)
        images.append(image)
    return from_atoms(images).with_meta(parent=[f"seed{i}" for i in range(n)])


def settings(**walk_settings: object) -> Relabel:
    return Relabel.model_validate({"max_force": 100.0, "walk": walk_settings})


def test_positions_follow_the_boltzmann_distribution() -> None:
    # A damped walk of 0.6 ps: <x^2> of every atom is kT/k, whatever the start.
    chosen = settings(steps=300, every=300, temperatures=[800, 800], friction=50)
    walked = walk(crystals(120), Einstein(), chosen, 1, "Al")
    last = walked.take(np.flatnonzero(walked.meta["walk_step"] == 300))
    away = last.positions - 3.0 * np.rint(last.positions / 3.0)
    expected = units.kB * 800 / STIFFNESS
    assert np.mean(away**2) == pytest.approx(expected, rel=0.08)  # 2160 coordinates: 3 % noise


def test_without_friction_energy_is_conserved() -> None:
    frames = crystals(4)
    chosen = settings(steps=200, every=1, timestep=1.0, temperatures=[500, 500], friction=0)
    walked = walk(frames, Einstein(), chosen, 1, "Al")
    one = walked.take(np.flatnonzero(walked.meta["parent"] == "seed1"))
    one = one.take(np.argsort(one.meta["walk_step"].to_numpy()))
    path = one.positions.reshape(len(one), -1, 3)
    speed = (path[2:] - path[:-2]) / (2 * 1.0 * units.fs)
    kinetic = 0.5 * 26.9815385 * (speed**2).sum(axis=(1, 2))
    total = kinetic + np.asarray(Einstein().predict(one).energy)[1:-1]
    assert np.ptp(total) < 0.01 * kinetic.max()


def test_frames_lead_and_snapshots_follow_with_their_lineage() -> None:
    frames = crystals(3)
    chosen = settings(steps=20, every=5, temperatures=[300, 900])
    walked = walk(frames, Einstein(), chosen, 1, "Al")
    assert sorted(walked.meta["walk_step"]) == sorted([0, 5, 10, 15, 20] * 3)
    assert walked.take(np.arange(3)).frame_ids() == frames.frame_ids()
    assert len(set(walked.frame_ids())) == 15
    for parent, rows in walked.meta.groupby("parent"):
        assert rows["walk_temperature"].nunique() == 1, parent
        assert 300 <= rows["walk_temperature"].iloc[0] <= 900
    assert not walked.labelled


def test_walks_do_not_depend_on_how_frames_are_dealt() -> None:
    frames = crystals(5)
    chosen = settings(steps=10, every=10)
    together = walk(frames, Einstein(), chosen, 1, "Al")
    apart = concatenate(
        [walk(frames.take([i]), Einstein(), chosen, 1, "Al") for i in reversed(range(5))]
    )
    assert set(together.frame_ids()) == set(apart.frame_ids())
    other = walk(frames, Einstein(), chosen, 2, "Al")
    assert set(together.frame_ids()) & set(other.frame_ids()) == set(frames.frame_ids())


def test_a_walk_ends_where_the_committee_disagrees_and_that_frame_is_kept_for_proposals() -> None:
    teacher = Einstein(spread_beyond=0.2)
    chosen = settings(steps=100, every=10, temperatures=[1500, 1500])
    walked = walk(crystals(6), teacher, chosen, 1, "Al")
    kept, records = relabel(walked, teacher, chosen)
    status = records["status"].to_numpy()
    assert (status == "dropped:spread").sum() == 6  # 0.15 Å each way: nobody gets through
    for _, rows in walked.with_meta(status=status).meta.groupby("parent"):
        ended = rows.sort_values("walk_step")["status"].tolist()
        assert ended[:-1] == ["ok"] * (len(ended) - 1)
        assert ended[-1] == "dropped:spread"
    assert len(kept) == len(walked) - 6


def test_atoms_are_moved_by_the_twin_in_single_precision() -> None:
    class Doubled(Einstein):
        def single(self) -> Einstein:
            return twin

        def predict(self, frames: Frames) -> Frames:
            raise AssertionError("moved in double precision")

    twin = Einstein()
    chosen = settings(steps=4, every=2, temperatures=[300, 300])
    one, other = (walk(crystals(3), model, chosen, 1, "Al") for model in (Doubled(), twin))
    np.testing.assert_array_equal(one.positions, other.positions)


def test_a_walk_without_finite_forces_ends() -> None:
    class Broken(Einstein):
        def predict(self, frames: Frames) -> Frames:
            result = super().predict(frames)
            assert result.forces is not None
            result.forces[:] = np.nan
            return result

    frames = crystals(3)
    walked = walk(frames, Broken(), settings(steps=5, every=1), 1, "Al")
    assert walked.frame_ids() == frames.frame_ids()


def test_temperatures_in_the_wrong_order_are_refused() -> None:
    values = {
        "material": "Al",
        "elements": ["Al"],
        "relabel": {"walk": {"temperatures": [900, 300]}},
    }
    with pytest.raises(ConfigError, match="the lower one comes first"):
        validate(values, "Al.yaml")
