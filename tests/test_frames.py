"""Frames: round trips, identity of a frame, bad files."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from polymorphkd.errors import InputError
from polymorphkd.frames import Frames, concatenate, from_atoms, write_frames
from polymorphkd.readers import read_frames


@pytest.fixture
def labelled(aluminium: Frames) -> Frames:
    images = aluminium.to_atoms()
    for i, atoms in enumerate(images):
        atoms.calc = EMT()
        atoms.info.update(
            REF_energy=atoms.get_potential_energy(), REF_stress=atoms.get_stress(), root=f"seed{i}"
        )
        atoms.arrays["REF_forces"] = atoms.get_forces()
        atoms.calc = None
    return from_atoms(images)


@pytest.mark.parametrize("suffix", [".parquet", ".extxyz"])
def test_round_trip_keeps_every_bit_and_the_ids(labelled, tmp_path, suffix):
    write_frames(tmp_path / f"a{suffix}", labelled)
    again = read_frames(tmp_path / f"a{suffix}")
    assert again.frame_ids() == labelled.frame_ids()
    assert np.array_equal(again.positions, labelled.positions)
    assert np.array_equal(again.cells, labelled.cells)
    assert list(again.meta["root"]) == list(labelled.meta["root"])
    np.testing.assert_allclose(again.energy, labelled.energy, rtol=0, atol=1e-9)
    np.testing.assert_allclose(again.forces, labelled.forces, rtol=0, atol=1e-8)
    np.testing.assert_allclose(again.stress, labelled.stress, rtol=0, atol=1e-12)


def test_id_ignores_wrapping_and_order_but_sees_a_displacement():
    atoms = bulk("Al", "fcc", 4.05, cubic=True)
    atoms.rattle(0.1, seed=1)
    name = from_atoms([atoms]).frame_ids()[0]
    moved = atoms.copy()
    moved.positions[2] += atoms.cell[0] - 2 * atoms.cell[1]
    assert from_atoms([moved]).frame_ids()[0] == name
    assert from_atoms([atoms[[3, 1, 0, 2]]]).frame_ids()[0] == name
    displaced = atoms.copy()
    displaced.positions[0, 0] += 1e-4
    assert from_atoms([displaced]).frame_ids()[0] != name
    swapped = atoms.copy()
    swapped.symbols[0] = "Cu"
    assert from_atoms([swapped]).frame_ids()[0] != name


def test_id_of_a_molecule_depends_on_its_geometry_alone():
    dimer = Atoms("Al2", positions=[[0, 0, 0], [2.5, 0, 0]])
    longer = Atoms("Al2", positions=[[0, 0, 0], [2.6, 0, 0]])
    assert from_atoms([dimer]).frame_ids() != from_atoms([longer]).frame_ids()
    number = from_atoms([dimer]).frame_ids()[0]
    assert len(number) == 17
    assert number.startswith("f")


def test_ids_survive_roundoff_half_way_between_two_steps():
    """k/108 of a step of the id is the usual case: cell of 10.8 Å, positions to 1e-8 Å."""
    random = np.random.default_rng(1)
    frames = []
    for _ in range(50):
        positions = np.round(random.uniform(0, 10.8, (60, 3)), 8)
        frames.append(Atoms("Cu60", positions=positions, cell=[10.8] * 3, pbc=True))
    plain = from_atoms(frames)
    disturbed = from_atoms(frames)
    disturbed.positions = plain.positions * (1 + random.choice([-2e-16, 2e-16], (3000, 3)))
    assert plain.frame_ids() == disturbed.frame_ids()


def test_atoms_on_one_place_and_empty_sets_have_ids():
    twins = Atoms("AlCu", positions=[[1, 1, 1], [1, 1, 1]], cell=[4] * 3, pbc=True)
    assert from_atoms([twins]).frame_ids() == from_atoms([twins[::-1]]).frame_ids()
    assert from_atoms([]).frame_ids() == []


def test_ids_in_text_files_stay_text(tmp_path):
    """Hexadecimal digits alone would now and then read back as an integer or a float."""
    random = np.random.default_rng(0)
    frames = from_atoms([Atoms("Al", positions=[p]) for p in random.normal(size=(400, 3))])
    frames = frames.with_meta(parent=frames.frame_ids()[::-1])
    write_frames(tmp_path / "a.extxyz", frames)
    again = read_frames(tmp_path / "a.extxyz")
    assert list(again.meta["parent"]) == list(frames.meta["parent"])


def test_metadata_of_mixed_types_becomes_text(aluminium, tmp_path):
    mixed = aluminium.take([0, 1, 2]).with_meta(tag=["a", 7, 1.5])
    write_frames(tmp_path / "a.parquet", mixed)
    assert list(read_frames(tmp_path / "a.parquet").meta["tag"]) == ["a", "7", "1.5"]


def test_take_and_concatenate_are_inverse(labelled):
    halves = [labelled.take(range(0, 6)), labelled.take(range(6, 12))]
    joined = concatenate(halves)
    assert joined.frame_ids() == labelled.frame_ids()
    assert np.array_equal(joined.forces, labelled.forces)


def test_concatenate_fills_missing_labels_with_nan(labelled):
    joined = concatenate([labelled, labelled.without_labels()])
    assert np.isnan(joined.energy[12:]).all()
    assert np.isfinite(joined.energy[:12]).all()


def test_sorting_removes_equal_frames(aluminium):
    doubled = concatenate([aluminium, aluminium])
    unique = doubled.sorted_by_id()
    assert len(unique) == len(aluminium)
    assert unique.frame_ids() == sorted(aluminium.frame_ids())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("empty.extxyz", "", "is empty"),
        ("broken.extxyz", "4\nLattice=oops\nAl 0 0\n", "cannot be read"),
        ("absent.extxyz", None, "no such file"),
        ("POSCAR", "not a structure\n", "cannot be read"),
    ],
)
def test_bad_files_are_named(tmp_path, name, text, message):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_frames(path)
    assert name in str(error.value)


def test_no_half_written_file_is_left(aluminium, tmp_path):
    path = tmp_path / "frames.unknownformat"
    with pytest.raises(Exception, match="unknownformat|format"):
        write_frames(path, aluminium)
    assert list(tmp_path.iterdir()) == []


def test_published_set_reads_with_its_labels(shared_data):
    frames = read_frames(shared_data / "labelled" / "Si.extxyz")
    assert len(frames) == 239
    assert frames.labelled
    assert np.abs(frames.forces[frames.atoms_of(0)].sum(axis=0)).max() < 1e-6
