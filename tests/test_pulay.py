"""A constant pressure in which stresses differ from energies is found and taken off."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from polymorphkd.frames import Frames, from_atoms
from polymorphkd.pulay import pulay_pressure, without_pulay_stress
from polymorphkd.readers import read_frames


def labelled(cells: list[Atoms]) -> Frames:
    for atoms in cells:
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.info["REF_stress"] = atoms.get_stress()
        atoms.arrays["REF_forces"] = atoms.get_forces()
        atoms.calc = None
    return from_atoms(cells)


def strained(start: Atoms, n: int, rattle: float, largest: float = 0.03) -> list[Atoms]:
    """Copies with random volumes and shapes, atoms moved by up to some hundredths of an Å."""
    random = np.random.default_rng(7)
    cells = []
    for _ in range(n):
        atoms = start.copy()
        strain = random.uniform(-largest, largest, (3, 3)) / 3
        strain += np.eye(3) * (1 + random.uniform(-largest, largest))
        atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
        atoms.positions += random.normal(0, rattle, atoms.positions.shape)
        cells.append(atoms)
    return cells


@pytest.fixture(scope="module")
def crystal() -> Frames:
    """Copies of a crystal of two elements with a vacancy: atoms feel forces."""
    atoms = bulk("Cu", "fcc", a=3.7, cubic=True) * (2, 2, 1)
    atoms.numbers[::3] = 79
    del atoms[1]
    return labelled(strained(atoms, 24, 0.02))


@pytest.mark.parametrize("pressure", [-2.6, 0.0, 1.2])
def test_the_pressure_is_found_and_taken_off(crystal, pressure):
    off = without_pulay_stress(crystal, -pressure)  # puts it in
    found = pulay_pressure(off)
    assert found.pressure == pytest.approx(pressure, abs=0.15)
    assert found.error < 0.15
    assert found.pairs > 20
    assert found.certain == bool(pressure)
    assert ("set split.pulay_pressure" in found.advice) == bool(pressure)
    mended = without_pulay_stress(off, pressure)
    assert np.allclose(mended.stress, crystal.stress, atol=1e-15)
    assert not pulay_pressure(mended).certain


def test_perfect_copies_give_it_exactly():
    frames = labelled(strained(bulk("Cu", "fcc", a=3.7, cubic=True), 24, 0.0, largest=0.01))
    found = pulay_pressure(without_pulay_stress(frames, 3.0))
    assert found.pressure == pytest.approx(-3.0, abs=0.01)


def test_its_sign_is_that_of_a_pressure(crystal):
    change = without_pulay_stress(crystal, -1.0).stress - crystal.stress
    assert np.allclose(change[:, :3], -1.0 * units.GPa)  # stress is a negative pressure
    assert np.allclose(change[:, 3:], 0.0)


def test_atoms_beyond_a_border_are_where_they_are(crystal):
    moved = []
    for k, atoms in enumerate(without_pulay_stress(crystal, 2.0).to_atoms()):
        atoms.positions -= atoms.cell[k % 3]
        moved.append(atoms)
    assert pulay_pressure(from_atoms(moved)).pressure == pytest.approx(-2.0, abs=0.15)


def test_their_order_does_not_matter(crystal):
    off = without_pulay_stress(crystal, -1.0)
    shuffled = off.take(np.random.default_rng(2).permutation(len(off)))
    assert pulay_pressure(shuffled).pressure == pytest.approx(pulay_pressure(off).pressure)


def test_frames_that_are_no_copies_say_nothing():
    cells = strained(bulk("Cu", "fcc", a=3.7, cubic=True), 12, 0.3)
    assert pulay_pressure(labelled(cells)) is None
    same = labelled(strained(bulk("Cu", "fcc", a=3.7, cubic=True), 12, 0.02, largest=0.0))
    assert pulay_pressure(same) is None  # at one volume a pressure does no work


def test_frames_without_stress_or_labels_are_left_out(crystal):
    bare = without_pulay_stress(crystal, -2.0)
    bare.stress[::2] = np.nan
    assert pulay_pressure(bare).pressure == pytest.approx(2.0, abs=0.4)
    assert pulay_pressure(crystal.without_labels()) is None
    assert pulay_pressure(crystal.take([])) is None
    assert without_pulay_stress(crystal.without_labels(), 2.0).stress is None


@pytest.mark.parametrize(("name", "pressure"), [("Cu", -2.6), ("Si", 0.0)])
def test_published_sets(shared_data, name, pressure):
    """Stresses of the copper set are known to be off by this much, those of silicon are not."""
    found = pulay_pressure(read_frames(shared_data / "labelled" / f"{name}.extxyz"))
    assert found.pressure == pytest.approx(pressure, abs=0.15)
    assert ("split.pulay_pressure to -2." in found.advice) == (name == "Cu")
