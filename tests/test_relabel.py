"""Relabelling: what is dropped and why, and the independence of the number of shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from polymorphkd.errors import StageError
from polymorphkd.evaluate.cells import placed
from polymorphkd.frames import Frames, concatenate, from_atoms, write_frames
from polymorphkd.label import deal
from polymorphkd.landscape import points
from polymorphkd.readers import read_frames
from polymorphkd.settings import Landscape, Relabel
from polymorphkd.teacher.committee import SPREAD
from polymorphkd.teacher.proposals import propose
from polymorphkd.teacher.relabel import gather, relabel

LANDSCAPE = Landscape(rmax=5.0, cutoff=3.5)
DISTANCE = 0.01


def some_frames(n: int, seed: int) -> Frames:
    random = np.random.default_rng(seed)
    images = []
    for _ in range(n):
        image = bulk("Al", "fcc", random.uniform(3.8, 4.3), cubic=True)
        image.rattle(0.15, rng=random)
        images.append(image)
    seeds = [f"seed{i}" for i in range(n)]
    return from_atoms(images).with_meta(parent=seeds, root=seeds)


class Springs:
    """Forces pull every atom to the cell's centre; a spread may be given per frame id."""

    def __init__(self, spread: dict[str, float] | None = None, broken: str = "") -> None:
        self.spread = spread
        self.broken = broken

    def predict(self, frames: Frames) -> Frames:
        result = frames.take(np.arange(len(frames)))
        result.energy = np.array([np.sum(result.atoms(i).positions) for i in range(len(result))])
        result.forces = -result.positions.copy()
        result.stress = np.tile(result.volumes[:, None], (1, 6))
        names = result.frame_ids()
        if self.broken in names:
            result.forces[result.atoms_of(names.index(self.broken))] = np.nan
        if self.spread is None:
            return result
        return result.with_meta(**{SPREAD: [self.spread.get(name, 0.0) for name in names]})


def largest_forces(frames: Frames) -> np.ndarray:
    return np.array(
        [np.linalg.norm(frames.atoms(i).positions, axis=1).max() for i in range(len(frames))]
    )


def test_kept_frames_carry_the_teachers_labels() -> None:
    frames = some_frames(5, 0)
    frames.energy = np.full(5, 99.0)
    kept, records = relabel(frames, Springs(), Relabel())
    assert list(records["status"]) == ["ok"] * 5
    assert list(records["frame_id"]) == frames.frame_ids()
    np.testing.assert_allclose(records["max_force"], largest_forces(frames))
    assert records["spread"].isna().all()
    assert kept.energy is not None
    np.testing.assert_allclose(kept.energy[0], frames.atoms(0).positions.sum())
    assert set(kept.meta["fidelity"]) == {"teacher"}
    assert list(kept.meta["config_id"]) == frames.frame_ids()
    assert list(kept.meta["parent"]) == list(frames.meta["parent"])


def test_large_forces_and_wide_spread_are_dropped_with_the_reason() -> None:
    frames = some_frames(12, 1)
    largest = largest_forces(frames)
    limit = float(np.median(largest))
    names = frames.frame_ids()
    small = [name for name, force in zip(names, largest, strict=True) if force < limit]
    spread = {small[0]: 0.9, small[1]: 1.1}
    broken = small[2]
    kept, records = relabel(
        frames, Springs(spread, broken), Relabel(max_force=limit, max_spread=1.0)
    )
    status = dict(zip(records["frame_id"], records["status"], strict=True))
    assert status[small[0]] == "ok"
    assert status[small[1]] == "dropped:spread"
    assert status[broken] == "dropped:max_force"  # a force that is not a number is no label
    for name, force in zip(names, largest, strict=True):
        if force > limit:
            assert status[name] == "dropped:max_force"
    assert kept.frame_ids() == [name for name in names if status[name] == "ok"]
    assert records.set_index("frame_id").loc[small[1], "spread"] == 1.1


def test_labels_that_are_no_numbers_are_dropped() -> None:
    frames = some_frames(4, 8)

    class Broken(Springs):
        def predict(self, frames: Frames) -> Frames:
            result = super().predict(frames)
            assert result.energy is not None
            assert result.stress is not None
            result.energy[0] = np.nan
            result.stress[1, 4] = np.inf
            return result

    kept, records = relabel(frames, Broken(), Relabel())
    assert list(records["status"]) == ["dropped:not_finite"] * 2 + ["ok"] * 2
    assert kept.frame_ids() == frames.frame_ids()[2:]


def through_shards(frames: Frames, held_out: Frames, n: int, folder: Path) -> tuple[bytes, bytes]:
    """Files of a run with `n` shards, each shard written and read as the workflow does."""
    settings = Relabel(n_shards=n, max_force=float(np.median(largest_forces(frames))))
    shards, tables = [], []
    for shard in range(n):
        kept, records = relabel(deal(frames, shard, n), Springs(), settings)
        write_frames(folder / f"{shard}.parquet", kept)
        records.to_parquet(folder / f"{shard}_records.parquet")
        shards.append(read_frames(folder / f"{shard}.parquet"))
        tables.append(pd.read_parquet(folder / f"{shard}_records.parquet"))
    kept, records = gather(shards, tables, held_out, LANDSCAPE, DISTANCE)
    write_frames(folder / "labelled.extxyz", kept)
    return (folder / "labelled.extxyz").read_bytes(), records.to_json().encode()


def test_every_record_gets_its_cell_and_frames_without_entropy_none() -> None:
    frames = some_frames(9, 4)
    _, records = relabel(frames, Springs(), Relabel(max_force=float(largest_forces(frames)[3])))
    assert records["status"].nunique() == 2  # dropped ones have a cell as well
    where = points(frames, LANDSCAPE)
    shuffled = where.sample(frac=1, random_state=1)
    known = where.iloc[2:6]  # a box that some frames lie beyond
    found = placed(records, shuffled, known, 4)
    assert list(found["frame_id"]) == frames.frame_ids()
    np.testing.assert_allclose(found["sS"], where["sS"])
    assert found[["cell_sS", "cell_Q6"]].stack().between(0, 3).all()
    low, high = known["sS"].min(), known["sS"].max()
    expected = np.clip(np.floor(4 * (where["sS"] - low) / (high - low)), 0, 3)
    assert list(found["cell_sS"]) == list(expected)
    shuffled.loc[0, "sS"] = np.nan
    lost = placed(records, shuffled, known, 4)
    assert lost.loc[0, ["cell_sS", "cell_Q6", "sS", "Q6"]].isna().all()
    pd.testing.assert_frame_equal(lost[1:], found[1:])


@pytest.mark.parametrize("n_shards", [2, 5, 17])
def test_the_number_of_shards_changes_nothing(tmp_path: Path, n_shards: int) -> None:
    """17 shards for 13 frames: some shards are empty."""
    frames, held_out = some_frames(13, 2), some_frames(2, 3)
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    one = through_shards(frames, held_out, 1, tmp_path / "one")
    shuffled = frames.take(np.random.default_rng(0).permutation(13))
    assert through_shards(shuffled, held_out, n_shards, tmp_path / "many") == one


def test_test_frames_and_their_near_duplicates_never_pass() -> None:
    frames = some_frames(8, 4)
    near = frames.atoms(3)
    near.positions[0, 0] += 1e-4  # another frame id, the same place on the landscape
    equal = frames.atoms(5)
    held_out = concatenate([from_atoms([near, equal]), some_frames(2, 5)])
    assert from_atoms([near]).frame_ids()[0] not in frames.frame_ids()
    kept, records = relabel(frames, Springs(), Relabel())
    result, table = gather([kept], [records], held_out, LANDSCAPE, DISTANCE)
    names = frames.frame_ids()
    dropped = set(table.loc[table["status"] == "dropped:near_test", "frame_id"])
    assert dropped == {names[3], names[5]}
    assert set(result.frame_ids()) == set(names) - dropped
    # Equal frames go by their id even where no distance is asked for.
    result, table = gather([kept], [records], held_out, LANDSCAPE, 0.0)
    assert set(names) - set(result.frame_ids()) >= {names[5]}


def test_the_family_of_test_frames_never_passes() -> None:
    """Children, parents and siblings, but no siblings of a seed; walks go with their start."""
    held_out, frames = some_frames(2, 8), some_frames(7, 9)
    child, parent, sibling, cousin, of_seed, walked, free = frames.frame_ids()
    first, _ = held_out.frame_ids()
    held_out = held_out.with_meta(parent=[parent, "mutant"], root="seed")
    frames = frames.with_meta(
        parent=[first, "seed", "mutant", "other mutant", "seed", "seed", ""],
        root="seed",
        walk_start=[child, parent, sibling, cousin, of_seed, parent, None],
    )
    kept, records = relabel(frames, Springs(), Relabel())
    result, table = gather([kept], [records], held_out, LANDSCAPE, 0.0)
    status = table.set_index("frame_id")["status"]
    assert set(status[status == "dropped:kin_of_test"].index) == {child, parent, sibling, walked}
    assert set(result.frame_ids()) == {cousin, of_seed, free}


def test_a_walk_from_a_test_frame_or_its_duplicate_never_passes() -> None:
    frames = some_frames(6, 10)
    names = frames.frame_ids()
    nearly = frames.atoms(1)
    nearly.positions[0, 0] += 1e-4
    held_out = concatenate([from_atoms([frames.atoms(0), nearly]), some_frames(1, 11)])
    frames = frames.with_meta(
        parent="", walk_start=[names[0], names[1], names[0], names[1], names[4], names[4]]
    )
    kept, records = relabel(frames, Springs(), Relabel())
    result, table = gather([kept], [records], held_out, LANDSCAPE, DISTANCE)
    assert set(result.frame_ids()) == set(names[4:])
    status = table.set_index("frame_id")["status"]
    assert list(status[names[:2]]) == ["dropped:near_test"] * 2
    assert list(status[names[2:4]]) == ["dropped:kin_of_test"] * 2


def test_nothing_left_is_an_error_that_names_the_reasons() -> None:
    frames = some_frames(4, 6)
    kept, records = relabel(frames, Springs(), Relabel(max_force=1e-3))
    with pytest.raises(StageError, match=r"none of 4 supplementary frames.*4 dropped:max_force"):
        gather([kept], [records], some_frames(1, 7), LANDSCAPE, DISTANCE)


# --- proposals --------------------------------------------------------------------------


def test_proposals_are_the_frames_of_largest_spread_without_labels(tmp_path: Path) -> None:
    frames = some_frames(12, 3)
    names = frames.frame_ids()
    spread = {name: 2.0 if i % 2 else 0.1 for i, name in enumerate(names)}
    kept, records = relabel(frames, Springs(spread), Relabel(max_force=1e3, max_spread=1.0))
    proposed = propose(frames, records, 100, LANDSCAPE, 1, "Al")
    assert set(proposed.frame_ids()) == {n for n, s in spread.items() if s > 1}
    assert not set(proposed.frame_ids()) & set(kept.frame_ids())
    assert proposed.energy is None
    assert proposed.meta["force_spread"].tolist() == [2.0] * 6
    # Read back as frames to label, whose ids are those of the supplementary set.
    write_frames(tmp_path / "proposals.extxyz", proposed)
    assert read_frames(tmp_path / "proposals.extxyz").frame_ids() == proposed.frame_ids()


def test_too_many_proposals_are_thinned_over_the_landscape() -> None:
    frames = some_frames(60, 4)
    spread = dict.fromkeys(frames.frame_ids(), 2.0)
    _, records = relabel(frames, Springs(spread), Relabel(max_force=1e3, max_spread=1.0))
    few = propose(frames, records, 9, LANDSCAPE, 1, "Al")
    assert 4 <= len(few) <= 9
    backwards = frames.take(np.arange(len(frames))[::-1])
    assert propose(backwards, records, 9, LANDSCAPE, 1, "Al").frame_ids() == few.frame_ids()


def test_a_sure_committee_proposes_nothing(tmp_path: Path) -> None:
    frames = some_frames(4, 5)
    _, records = relabel(frames, Springs({}), Relabel(max_force=1e3))
    none = propose(frames, records, 9, LANDSCAPE, 1, "Al")
    assert not len(none)
    write_frames(tmp_path / "proposals.extxyz", none)
    assert (tmp_path / "proposals.extxyz").read_text() == ""
