"""A Pulay stress is measured on strained copies and taken off; exact labels raise no alarm."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from polymorphkd.frames import Frames, from_atoms
from polymorphkd.pulay import pulay_virial, without_pulay_stress
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
    return labelled(strained(atoms, 24, 0.01))


@pytest.mark.parametrize("virial", [-0.25, 0.0, 0.15])
def test_it_is_found_and_taken_off(crystal, virial):
    off = without_pulay_stress(crystal, -virial)  # puts it in
    found = pulay_virial(off)
    assert found.virial == pytest.approx(virial, abs=0.005)
    assert found.error < 0.01
    assert found.frames == 24
    assert found.telling
    assert found.certain == bool(virial)
    assert ("set split.pulay_virial" in found.advice()) == bool(virial)
    mended = without_pulay_stress(off, virial)
    assert np.allclose(mended.stress, crystal.stress, atol=1e-15)
    assert not pulay_virial(mended).certain


def test_a_value_that_is_set_is_not_asked_for_again(crystal):
    found = pulay_virial(without_pulay_stress(crystal, 0.2))
    assert "WARNING" in found.advice()
    assert "WARNING" not in found.advice(already=-0.2)
    assert f"set split.pulay_virial to {found.virial:.3f}" in found.advice(already=-0.1)
    assert f"set split.pulay_virial to {found.virial:.3f}" in found.advice(already=0.2)


def test_its_sign_is_that_of_a_pressure_and_vacuum_has_no_part(crystal):
    change = without_pulay_stress(crystal, -1.0).stress - crystal.stress
    assert np.allclose(-change[:, :3] * crystal.volumes[:, None], 1.0 * 15)
    assert np.allclose(change[:, 3:], 0.0)
    found = pulay_virial(without_pulay_stress(crystal, 0.2))
    density = np.mean(15 / crystal.volumes)
    assert found.pressure == pytest.approx(found.virial * density / units.GPa, rel=0.01)


def equation_of_state(
    bulk_modulus: float, stiffening: float, volume: float, volumes: np.ndarray, copies: int = 1
) -> Frames:
    """Cells of one atom with the exact energies and pressures of Birch and Murnaghan."""
    cells = []
    b0 = bulk_modulus * units.GPa
    for v in np.repeat(volumes * volume, copies):
        x = (volume / v) ** (2 / 3)
        energy = 9 * volume * b0 / 16 * ((x - 1) ** 3 * stiffening + (x - 1) ** 2 * (6 - 4 * x))
        pressure = 1.5 * b0 * (x**3.5 - x**2.5) * (1 + 0.75 * (stiffening - 4) * (x - 1))
        atoms = Atoms("Cu", cell=np.eye(3) * v ** (1 / 3), pbc=True)
        atoms.info |= {"REF_energy": energy, "REF_stress": -pressure * np.repeat([1, 0], 3)}
        atoms.arrays["REF_forces"] = np.zeros((1, 3))
        cells.append(atoms)
    return from_atoms(cells)


SOLIDS = {"Cu": (140, 5.0, 11.8), "diamond": (440, 3.7, 5.7), "W": (310, 4.2, 15.9)}


@pytest.mark.parametrize("solid", SOLIDS)
@pytest.mark.parametrize(("low", "high", "n"), [(0.9, 1.1, 7), (0.9, 1.1, 11), (0.88, 1.12, 25)])
@pytest.mark.parametrize("copies", [1, 6])
def test_exact_labels_raise_no_alarm(solid, low, high, n, copies):
    """A grid of volumes has one step: the error of the quadrature cannot be fitted away."""
    frames = equation_of_state(*SOLIDS[solid], np.linspace(low, high, n), copies)
    found = pulay_virial(frames)
    assert found is None or not found.certain
    assert found is None or abs(found.virial) <= found.error
    off = pulay_virial(without_pulay_stress(frames, 0.4))
    assert off is None or off.virial == pytest.approx(-0.4, abs=off.error)


@pytest.mark.parametrize("n", [60, 1000])
def test_more_frames_do_not_hide_it(n):
    volumes = np.random.default_rng(1).uniform(0.85, 1.15, n)
    frames = without_pulay_stress(equation_of_state(*SOLIDS["Cu"], volumes), 0.2)
    found = pulay_virial(frames)
    assert found.certain
    assert found.virial == pytest.approx(-0.2, abs=0.02)
    assert found.pairs > 2 * n


def test_noise_raises_no_alarm():
    random = np.random.default_rng(4)
    alarms = 0
    for _ in range(100):
        n = int(random.integers(3, 12))
        frames = equation_of_state(*SOLIDS["Cu"], random.uniform(0.95, 1.05, n))
        frames.energy = frames.energy + random.normal(0, 0.002, n)
        frames.stress = frames.stress + random.normal(0, 0.5, (n, 6)) * units.GPa
        found = pulay_virial(frames)
        alarms += found is not None and found.certain
    assert alarms <= 1
    frames.stress = frames.stress + random.normal(0, 10, frames.stress.shape) * units.GPa
    assert not pulay_virial(frames).telling


def test_atoms_beyond_a_border_are_where_they_are(crystal):
    moved = []
    for k, atoms in enumerate(without_pulay_stress(crystal, 0.2).to_atoms()):
        atoms.positions -= atoms.cell[k % 3]
        moved.append(atoms)
    assert pulay_virial(from_atoms(moved)).virial == pytest.approx(-0.2, abs=0.01)


def test_their_order_does_not_matter(crystal):
    off = without_pulay_stress(crystal, -0.1)
    shuffled = off.take(np.random.default_rng(2).permutation(len(off)))
    assert pulay_virial(shuffled).virial == pytest.approx(pulay_virial(off).virial)


def test_frames_that_are_no_copies_say_nothing():
    apart = strained(bulk("Cu", "fcc", a=3.7, cubic=True), 12, 0.3)
    assert pulay_virial(labelled(apart)) is None
    same = labelled(strained(bulk("Cu", "fcc", a=3.7, cubic=True), 12, 0.02, largest=0.0))
    assert pulay_virial(same) is None  # at one volume a pressure does no work
    long = bulk("Cu", "fcc", a=3.7, cubic=True) * (1, 1, 14)
    copies = strained(long, 8, 0.0)
    random = np.random.default_rng(3)
    for atoms in copies:  # along the long edge alone, where fractions are small
        atoms.positions[:, 2] += random.normal(0, 0.3, len(atoms))
    assert pulay_virial(labelled(copies)) is None


def test_frames_that_lack_a_label_are_left_out(crystal):
    bare = without_pulay_stress(crystal, 0.2)
    bare.stress[::4] = np.nan
    bare.energy[1] = np.nan
    bare.forces[bare.atoms_of(2)] = np.nan
    bare.cells[3] = 0.0
    bare.pbc[5, 1] = False
    found = pulay_virial(bare)
    assert found.virial == pytest.approx(-0.2, abs=0.02)
    assert found.frames <= 24 - 6 - 4
    assert pulay_virial(crystal.without_labels()) is None
    assert pulay_virial(crystal.take([])) is None
    assert without_pulay_stress(crystal.without_labels(), 0.2).stress is None


@pytest.mark.parametrize(("name", "virial"), [("Cu", -0.2), ("Mo", 0.0), ("Si", 0.0)])
def test_published_sets(shared_data, name, virial):
    """Stresses of the copper set are known to be off by 2.6 GPa, those of silicon are not."""
    found = pulay_virial(read_frames(shared_data / "labelled" / f"{name}.extxyz"))
    assert found.virial == pytest.approx(virial, abs=0.03)
    assert ("split.pulay_virial to -0.2" in found.advice()) == (name == "Cu")


def test_slabs_of_the_copper_set_tell_the_same(shared_data):
    """Nothing holds a slab along its normal but its atoms: V σ_nn + Σ f_n r_n = 0.

    This knows nothing of strained copies, and the vacuum shows that the constant is one per atom.
    """
    frames = read_frames(shared_data / "labelled" / "Cu.extxyz")
    slabs = frames.take(np.flatnonzero((frames.meta["group"] == "Surface").to_numpy()))
    left = []
    for k in range(len(slabs)):
        where = slabs.atoms_of(k)
        normal = int(np.argmax(_vacuum(slabs, k)))
        axis = np.cross(*np.delete(slabs.cells[k], normal, axis=0))
        axis /= np.linalg.norm(axis)
        heights = _unbroken(slabs, k, normal) @ axis
        stress = slabs.stress[k]
        full = np.array([stress[[0, 5, 4]], stress[[5, 1, 3]], stress[[4, 3, 2]]])
        held = slabs.volumes[k] * axis @ full @ axis + slabs.forces[where] @ axis @ heights
        left.append(-held / slabs.n_atoms[k])
    found = pulay_virial(frames).virial
    assert np.mean(left) == pytest.approx(found, rel=0.2)


def _vacuum(frames: Frames, index: int) -> list[float]:
    """Widest gap without atoms along each cell vector, Å."""
    where = frames.atoms_of(index)
    places = np.linalg.solve(frames.cells[index].T, frames.positions[where].T).T % 1.0
    gaps = []
    for axis in range(3):
        line = np.sort(places[:, axis])
        gaps.append(np.diff(np.append(line, line[0] + 1)).max())
    return [g * np.linalg.norm(v) for g, v in zip(gaps, frames.cells[index], strict=True)]


def _unbroken(frames: Frames, index: int, axis: int) -> np.ndarray:
    """Positions of a slab that no border cuts through, Å."""
    where = frames.atoms_of(index)
    places = np.linalg.solve(frames.cells[index].T, frames.positions[where].T).T
    line = np.sort(places[:, axis] % 1.0)
    gaps = np.diff(np.append(line, line[0] + 1))
    start = (line[np.argmax(gaps)] + gaps.max() / 2) % 1.0
    places[:, axis] = (places[:, axis] - start) % 1.0
    return places @ frames.cells[index]
