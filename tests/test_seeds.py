"""Seeds: prototypes, MD, the user's files and what is refused."""

import sys

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write
from polymorphkd.config import validate
from polymorphkd.errors import InputError, StageError
from polymorphkd.frames import from_atoms
from polymorphkd.landscape import points
from polymorphkd.readers import read_frames
from polymorphkd.seeds import collect
from polymorphkd.seeds.collect import check_frames
from polymorphkd.seeds.prototypes import prototype, repeated
from polymorphkd.settings import Landscape


def settings(**seeds):
    md = {"steps": 20, "temperatures": [900], "snapshots": 1}
    return validate({"material": "Al", "elements": ["Al"], "seeds": {"md": md, **seeds}}, "test")


@pytest.mark.parametrize(
    ("name", "n_atoms", "neighbours", "q6_squared"),
    [
        ("fcc", 4, 12, 169 / 512),
        ("bcc", 2, 14, 169 / 648),
        ("hcp", 2, 12, 29237 / 124416),
        ("dhcp", 4, 12, None),
        ("sc", 1, 6, 1 / 8),
        ("diamond", 8, 4, 32 / 81),
        ("omega", 3, None, None),
        ("a15", 8, None, None),
    ],
)
def test_prototypes_have_their_shells(name, n_atoms, neighbours, q6_squared):
    atoms = prototype(name, "Al", 16.5)
    assert len(atoms) == n_atoms
    assert atoms.get_volume() / n_atoms == pytest.approx(16.5)
    if neighbours is None:
        return
    distances = np.sort(atoms.repeat(4).get_all_distances(mic=True)[0])[1:]
    # bcc counts two shells, which is what its cutoff catches.
    reach = distances[0] * (1.2 if name == "bcc" else 1.05)
    assert (distances < reach).sum() == neighbours
    if q6_squared is not None:
        found = points(from_atoms([atoms]), Landscape(cutoff=reach)).iloc[0]
        assert pytest.approx(q6_squared, abs=1e-7) == found.Q6**2


def test_omega_and_a15_have_their_symmetry():
    import spglib

    for name, number in (("omega", 191), ("a15", 223), ("dhcp", 194)):
        atoms = prototype(name, "Ti", 17.0)
        cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
        assert spglib.get_spacegroup(cell, 1e-4).endswith(f"({number})")


def test_supercells_fit_and_are_compact():
    cells = repeated(prototype("bcc", "Al", 16.5), (4, 16))
    assert [len(cell) for cell in cells] == [4, 16]
    edges = cells[-1].cell.lengths()
    assert edges.max() / edges.min() == pytest.approx(1.0)
    assert repeated(prototype("a15", "Al", 16.5), (4, 7)) == []


def test_seeds_are_reproducible_and_free_of_duplicates():
    first, second = collect(settings()), collect(settings())
    assert first.frame_ids() == second.frame_ids() == sorted(set(first.frame_ids()))
    assert first.meta["source"].str.contains("MD 900 K").sum() == 8


def test_md_really_moves_atoms():
    cold = settings(prototypes=["fcc"], volume_strains=[0.0])
    melted = collect(cold)
    hot = melted.take(np.flatnonzero(melted.meta["source"].str.contains("MD")))
    crystal = prototype("fcc", "Al", 16.5).repeat((2, 1, 1))
    shift = np.linalg.norm(hot.positions - crystal.positions, axis=1)
    assert shift.max() > 0.02


def test_no_prototype_fits():
    with pytest.raises(StageError, match=r"no seeds left.*n_atoms \[5, 5\]"):
        collect(settings(prototypes=["fcc", "diamond"], n_atoms=[5, 5]))


@pytest.mark.parametrize("name", ["seed.extxyz", "POSCAR", "seed.cif", "XDATCAR"])
def test_user_files_of_many_formats(tmp_path, name):
    atoms = bulk("Al", "fcc", 4.05, cubic=True)
    atoms.rattle(0.05, seed=1)
    write(tmp_path / name, atoms, format={"POSCAR": "vasp", "XDATCAR": "vasp-xdatcar"}.get(name))
    values = {"material": "Al", "elements": ["Al"], "inputs": {"seeds": [str(tmp_path / name)]}}
    frames = collect(validate(values, "test"))
    assert len(frames) == 1
    assert frames.meta["source"].iloc[0].endswith(f"{name}#0")
    before = np.sort(atoms.get_all_distances(mic=True).ravel())
    after = np.sort(frames.atoms(0).get_all_distances(mic=True).ravel())
    np.testing.assert_allclose(after, before, atol=1e-4)


def overlapping():
    atoms = bulk("Al", "fcc", 4.05, cubic=True)
    atoms.positions[1] = atoms.positions[0] + [0.1, 0, 0]
    return atoms


def flat():
    atoms = bulk("Al", "fcc", 4.05, cubic=True)
    atoms.cell[2] = 0
    return atoms


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (overlapping(), r"frame 1: two atoms are 0.100 Å apart"),
        (bulk("Cu", "fcc", 3.6), r"frame 1: element Cu is not among .* \(Al\)"),
        (bulk("Al", "fcc", 1.2), r"frame 1: volume 0.432 Å\^3 for 1 atoms"),
        (flat(), r"frame 1: periodic, but a cell vector is missing"),
    ],
    ids=["overlap", "element", "volume", "cell"],
)
@pytest.mark.parametrize("large", [False, True], ids=["small set", "large set"])
def test_bad_frames_are_named_with_file_and_index(tmp_path, monkeypatch, atoms, message, large):
    if large:  # large sets are looked through by compiled code first
        monkeypatch.setattr(sys.modules[check_frames.__module__], "LARGE_SET", 1)
    path = tmp_path / "mine.traj"
    write(path, [bulk("Al", "fcc", 4.05), atoms])
    values = {"material": "Al", "elements": ["Al"], "inputs": {"seeds": [str(path)]}}
    with pytest.raises(InputError, match=message) as error:
        collect(validate(values, "test"))
    assert "mine.traj" in str(error.value)
    write(path, [bulk("Al", "fcc", 4.05), bulk("Al", "bcc", 3.2)])
    check_frames(read_frames(path), ["Al"], str(path))


def test_absent_user_file(tmp_path):
    values = {"material": "Al", "elements": ["Al"], "inputs": {"seeds": [f"{tmp_path}/no*.cif"]}}
    with pytest.raises(InputError, match=r"no\*\.cif: no such file"):
        collect(validate(values, "test"))
