"""Constraints of the generator: each names its reason."""

import numpy as np
import pytest
from ase.build import bulk, fcc111
from generation import context, copies
from polymorphkd.config import validate
from polymorphkd.errors import ConfigError, PolymorphKDError
from polymorphkd.frames import from_atoms
from polymorphkd.generate.breeder import Breeder
from polymorphkd.generate.constraints import (
    REASONS,
    Checker,
    EnergyGate,
    cell_shapes,
    lowest_energy,
    reference_extents,
)
from polymorphkd.preflight import preflight
from polymorphkd.settings import Constraints, Gate, Generate

AL = bulk("Al", "fcc", 4.05, cubic=True)


def check(atoms, seeds=(AL,), own=None, **constraints) -> tuple[str, float]:
    settings, frames = Constraints(**constraints), from_atoms(list(seeds))
    checker = Checker(settings, frames)
    if own is None:
        own = reference_extents(frames, settings.volume_window)[0]
    outcome, quality = checker.check(copies(atoms, 1), np.array([own]))
    return REASONS[outcome[0]], quality[0]


def scaled(factor):
    atoms = AL.copy()
    atoms.set_cell(atoms.cell.array @ np.asarray(factor), scale_atoms=True)
    return atoms


def test_constraints_name_their_reason():
    assert check(AL)[0] == ""
    assert check(scaled(np.eye(3) * 1.2))[0] == "volume"
    assert check(scaled([[1, 0, 0], [1.5, 1, 0], [0, 0, 1]]))[0] == "angle"
    assert check(scaled(np.diag([3, 3**-0.5, 3**-0.5])), angle_window=(30, 150))[0] == "aspect"
    close = AL.copy()
    close.positions[1] = close.positions[0] + [1.5, 0, 0]
    assert check(close)[0] == "distance"
    assert check(close, min_distance={"Al-Al": 1.4})[0] == ""


def test_quality_is_the_smallest_distance_over_the_allowed_one():
    nearest = 4.05 / np.sqrt(2)
    assert check(AL, min_distance={"Al-Al": 2.6})[1] == pytest.approx(nearest / 2.6)
    assert check(AL, min_distance={"Al-Al": 1.0})[1] == 1.25  # beyond what is looked at


def test_each_pair_of_elements_has_its_own_distance():
    salt = bulk("NaCl", "rocksalt", 5.6, cubic=True)
    limits = {"Na-Cl": 2.7, "Na-Na": 3.9, "Cl-Cl": 3.9}
    assert check(salt, [salt], min_distance=limits)[0] == ""
    for pair in limits:
        tight = limits | {pair: limits[pair] * 1.05}
        assert check(salt, [salt], min_distance=tight)[0] == "distance"


def test_distance_sees_periodic_images_and_atoms_on_one_place():
    thin = scaled(np.diag([0.4, 1.6, 1.6]))
    assert check(thin, max_aspect=20)[0] == "distance"
    twins = AL.copy()
    twins.positions[1] = twins.positions[0]
    assert check(twins)[0] == "distance"


def test_diamond_passes_out_of_the_box():
    diamond = bulk("C", "diamond", 3.567, cubic=True)
    assert check(diamond, [diamond])[0] == ""


def test_the_window_of_a_slab_is_its_area():
    slab = fcc111("Al", (2, 2, 3), vacuum=8)
    area = np.linalg.norm(np.cross(slab.cell[0], slab.cell[1]))
    assert check(slab, [slab], own=area)[0] == ""
    wide = slab.copy()
    wide.set_cell(wide.cell * np.array([[1.15], [1.15], [1]]), scale_atoms=True)
    assert check(wide, [slab], own=area)[0] == "volume"
    tall = slab.copy()
    tall.cell[2] *= 3
    assert check(tall, [slab], own=area)[0] == ""


def test_shapes_of_cells():
    cell = np.array([[2.0, 0, 0], [1, 1, 0], [0, 0, 5]])
    angles, aspects = cell_shapes(np.array([cell, cell, cell]), np.array(
        [[True] * 3, [True, True, False], [False] * 3]))  # fmt: skip
    np.testing.assert_allclose(angles, [[90, 90, 45], [90, 90, 45], [90, 90, 90]], atol=1e-6)
    # Heights of the first two vectors in their plane: area 2 over the length of the other.
    np.testing.assert_allclose(aspects, [5 / 1.0, 2 / 1.0, 1.0])


def test_skewed_cells_are_reduced_and_stay_the_same_crystal():
    checker = Checker(Constraints(), from_atoms([AL]))
    skewed = copies(AL, 1)
    skewed.cells[0, 1] += 3 * skewed.cells[0, 0]
    before = skewed.positions.copy()
    assert REASONS[checker.check(skewed, np.zeros(1))[0][0]] == "angle"
    assert list(checker.reduce(skewed)) == [0]
    assert checker.check(skewed, np.zeros(1))[0][0] == 0
    np.testing.assert_array_equal(skewed.positions, before)
    np.testing.assert_allclose(np.linalg.norm(skewed.cells[0], axis=1), 4.05)
    assert not checker.reduce(copies(AL, 3))


def test_a_pair_must_name_elements_present():
    with pytest.raises(ConfigError, match=r"'Al-Cu'.*two of the elements present \(Al\)"):
        Checker(Constraints(min_distance={"Al-Cu": 2.0}), from_atoms([AL]))


def test_constraints_that_no_seed_obeys_say_so_before_any_work():
    made, _ = context(constraints={"volume_window": [5.0, 6.0]})
    with pytest.raises(ConfigError, match="none of the 3 seeds.*3 for volume"):
        Breeder(made, np.random.default_rng(1))
    with pytest.raises(ValueError, match="volume_window: 2 is not below 1"):
        Constraints(volume_window=(2, 1))


def test_the_gate_refuses_by_force_and_by_energy():
    stretched = scaled(np.eye(3) * 1.05)
    shaken = AL.copy()
    shaken.rattle(0.3, seed=1)
    frames = from_atoms([AL, stretched, shaken])
    limit = Gate(max_energy=0.05)
    by_energy = EnergyGate(limit, lowest_energy(limit, frames))
    assert [by_energy.reason(frames, i) for i in range(3)] == ["", "energy", "energy"]
    by_force = EnergyGate(Gate(max_force=0.5), 0.0)
    assert [by_force.reason(frames, i) for i in range(3)] == ["", "", "force"]
    with pytest.raises(ValueError, match="max_force, max_energy"):
        Gate()


def test_gated_mutants_are_counted():
    gate = {"max_energy": 0.02}
    made, _ = context(strategy="rattle", constraints={"gate": gate}, amplitudes={"volume": 0.2})
    assert isinstance(made.settings, Generate)
    breeder = Breeder(made, np.random.default_rng(1))
    parents = breeder.founders * 20
    brood = breeder.breed(parents, breeder.genes(parents))
    assert breeder.tally["energy"] > 10
    assert breeder.tally["accepted"] == len(brood.members)
    assert sum(breeder.tally.values()) == len(parents)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"generate": {"constraints": {"min_distance": {"Al-Cu": 2}}}}, "'Al-Cu': expected two"),
        ({"seeds": {"n_atoms": [1, 4]}}, "seeds.n_atoms: 1: displacements do nothing"),
        (
            {"generate": {"constraints": {"gate": {"calculator": "ase.No", "max_force": 1}}}},
            "generate.constraints.gate: ",
        ),
    ],
)
def test_impossible_settings_are_refused_before_any_job(section, message):
    values = {"material": "Al", "elements": ["Al"], **section}
    with pytest.raises(PolymorphKDError, match=message):
        preflight(validate(values, "Al.yaml"))


def test_each_composition_and_each_far_phase_has_its_own_volume():
    window = (0.8, 1.25)
    graphites = [bulk("C", "diamond", a, cubic=True) for a in (4.1, 4.15, 4.2)]
    diamond = bulk("C", "diamond", 3.567, cubic=True)
    sodium = bulk("Na", "bcc", 4.28, cubic=True)
    frames = from_atoms([*graphites, diamond, sodium])
    found = reference_extents(frames, window)
    median = np.median([atoms.get_volume() for atoms in (*graphites, diamond)])
    expected = [median, median, median, diamond.get_volume(), sodium.get_volume()]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    slab = fcc111("Al", (1, 1, 3), vacuum=8)
    area = np.linalg.norm(np.cross(slab.cell[0], slab.cell[1]))
    np.testing.assert_allclose(reference_extents(from_atoms([slab]), window), area, rtol=1e-6)


def test_seeds_that_break_the_constraints_have_no_descendants():
    squeezed = AL.copy()
    squeezed.positions[1] = squeezed.positions[0] + [1.0, 0, 0]
    made, _ = context([AL, bulk("Al", "hcp", 2.86), squeezed])
    breeder = Breeder(made, np.random.default_rng(1))
    assert len(breeder.founders) == 2
    assert all(member.quality > 1 for member in breeder.founders)


def test_a_gate_lets_nothing_pass_that_is_no_number():
    frames = from_atoms([AL])
    gate = EnergyGate(Gate(max_force=1.0, max_energy=1.0), float("nan"))
    assert gate.reason(frames, 0) == "energy"
