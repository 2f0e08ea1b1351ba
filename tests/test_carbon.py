"""Carbon seeds: crystals that spglib knows, ways between them, C60; and MD in LAMMPS."""

from itertools import pairwise

import numpy as np
import pytest
import spglib
from ase.build import bulk
from ase.neighborlist import neighbor_list
from polymorphkd.errors import StageError
from polymorphkd.lammps import Potential
from polymorphkd.seeds.carbon import PATHWAYS, STACKS, carbon, fullerite, pathway
from polymorphkd.seeds.lammps_md import md_frames, md_thermo, run_md, write_md
from polymorphkd.seeds.schedule import Dynamics
from polymorphkd.settings import MDStage


def space_group(atoms) -> int:
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    return spglib.get_symmetry_dataset(cell, 1e-4).number


@pytest.mark.parametrize(
    ("name", "number", "neighbours", "bond", "volume"),
    [
        ("graphite-AA", 191, 3, 1.4209, 8.796),
        ("graphite-AB", 194, 3, 1.4209, 8.796),
        ("graphite-ABC", 166, 3, 1.4209, 8.796),
        ("diamond", 227, 4, 1.5446, 5.673),
        ("lonsdaleite", 194, 4, 1.5446, 5.673),
    ],
)
def test_crystals(name, number, neighbours, bond, volume):
    atoms = carbon(name)
    i, d = neighbor_list("id", atoms, 1.8)
    assert space_group(atoms) == number
    assert np.bincount(i).tolist() == [neighbours] * 4
    assert d == pytest.approx(bond, abs=1e-4)
    assert atoms.get_volume() / 4 == pytest.approx(volume, abs=1e-3)
    assert set(STACKS) >= {name}


@pytest.mark.parametrize("name", PATHWAYS)
def test_ways_from_graphite_to_diamond_keep_atoms_apart(name):
    images = pathway(name, 7, (2, 1, 1))
    start, end = name.split("-")
    assert len(images) == 7
    assert space_group(images[0]) == space_group(carbon(f"graphite-{start}"))
    assert space_group(images[-1]) == space_group(carbon(end))
    assert [image.info["share"] for image in images] == pytest.approx(np.linspace(0, 1, 7))
    for before, after in pairwise(images):
        assert neighbor_list("d", after, 3.0).min() > 1.42
        moved = np.abs(after.positions - before.positions)
        assert moved.max() < 1.2  # no atom jumps across the cell


def test_fullerite_is_made_of_whole_molecules():
    atoms = fullerite((2, 2, 2), np.random.default_rng(0))
    i, j, d = neighbor_list("ijd", atoms, 1.6)
    assert len(atoms) == 1920
    assert np.all(np.bincount(i) == 3)
    assert np.all(i // 60 == j // 60)
    assert 1.38 < d.min() < d.max() < 1.45
    i, j, d = neighbor_list("ijd", atoms, 3.5)
    assert d[i // 60 != j // 60].min() > 2.1
    again = fullerite((2, 2, 2), np.random.default_rng(0))
    np.testing.assert_array_equal(atoms.positions, again.positions)


def stages() -> list[MDStage]:
    return [
        MDStage(name="settle", temperature=(300, 300), pressure=(0, 0), picoseconds=0.05),
        MDStage(name="press", temperature=(300, 600), pressure=(0, 20), picoseconds=0.1),
    ]


def test_stages_run_in_lammps_and_frames_know_theirs(tmp_path):
    atoms = bulk("C", "diamond", 3.567, cubic=True).repeat(2)
    dynamics = Dynamics(timestep=1.0, pressure_damping=0.1, frames=5)
    write_md(
        tmp_path, atoms, Potential("tersoff", "SiC.tersoff", ("C",)), stages(),
        dynamics, np.random.default_rng(3),
    )  # fmt: skip
    assert run_md(tmp_path) > 0
    thermo = md_thermo(tmp_path, stages(), dynamics)
    frames = md_frames(tmp_path, thermo)
    assert thermo["time_ps"].iloc[-1] == pytest.approx(0.15)
    assert frames.meta["stage"].tolist() == ["settle"] * 2 + ["press"] * 4
    assert np.all(frames.numbers == 6)
    # Tersoff's diamond: -7.37 eV per atom (PRB 39, 5566), and denser under pressure.
    assert thermo["potential_eV"].iloc[0] / len(atoms) == pytest.approx(-7.368, abs=1e-3)
    assert frames.volumes[-1] < frames.volumes[0]
    assert frames.volumes == pytest.approx(frames.meta["volume_A3"].to_numpy(), rel=1e-6)
    assert thermo["pressure_bar"].iloc[-5:].mean() == pytest.approx(2e5, rel=0.35)


def test_a_run_that_flies_apart_is_named(tmp_path):
    atoms = bulk("C", "diamond", 3.567, cubic=True).repeat(2)
    atoms.positions[1] = atoms.positions[0] + 0.02
    hot = [MDStage(name="boil", temperature=(3e5, 3e5), pressure=(0, 0), picoseconds=1.0)]
    write_md(
        tmp_path, atoms, Potential("tersoff", "SiC.tersoff", ("C",)), hot,
        Dynamics(timestep=10.0), np.random.default_rng(3),
    )  # fmt: skip
    with pytest.raises(StageError, match=r"molecular dynamics"):
        run_md(tmp_path)
