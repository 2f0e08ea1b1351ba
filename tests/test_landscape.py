"""Landscape: exact shells, an independent oracle, invariances, odd cells."""

import math
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, graphene
from ase.neighborlist import neighbor_list
from oracles import kept, oracle, pair_entropy, q6m, steinhardt
from polymorphkd.errors import StageError
from polymorphkd.frames import Frames, concatenate, from_atoms
from polymorphkd.landscape import Mapper, auto_cutoff, per_atom, points, settings_digest
from polymorphkd.landscape.grid import bounding_box, cells, coordinates, coverage
from polymorphkd.settings import Landscape
from structures import hcp, noisy_copper, skewed


def point(atoms: Atoms, cutoff: float, **settings):
    return points(from_atoms([atoms]), Landscape(cutoff=cutoff, **settings)).iloc[0]


@pytest.mark.parametrize(
    ("atoms", "cutoff", "squared"),
    [
        (bulk("Cu", "fcc", 3.61), 3.0, 169 / 512),
        (hcp(2.95), 3.2, 29237 / 124416),
        (bulk("Fe", "bcc", 2.87), 2.6, 32 / 81),
        (bulk("Fe", "bcc", 2.87), 3.2, 169 / 648),
        (bulk("C", "diamond", 3.567), 1.8, 32 / 81),
        (bulk("Po", "sc", 3.3), 3.6, 1 / 8),
        (graphene(vacuum=8), 1.6, 281 / 512),
    ],
    ids=["fcc", "hcp", "bcc8", "bcc14", "diamond", "sc", "graphene"],
)
def test_exact_shells(atoms, cutoff, squared):
    assert pytest.approx(squared, abs=1e-9) == point(atoms, cutoff).Q6 ** 2


@pytest.mark.parametrize(
    ("atoms", "entropy"),
    [
        (bulk("Cu", "fcc", 3.61), -48.6525),
        (hcp(2.95), -26.882),
        (bulk("Fe", "bcc", 2.87), -50.249),
        (bulk("C", "diamond", 3.567), -31.894),
    ],
    ids=["fcc", "hcp", "bcc", "diamond"],
)
def test_reference_entropies(atoms, entropy):
    assert point(atoms, 3.0).sS == pytest.approx(entropy, abs=6e-4)


def test_diamond_depends_on_the_cutoff():
    diamond = bulk("C", "diamond", 3.567)
    found = [point(diamond, cutoff).Q6 for cutoff in (1.8, 2.9, 3.6)]
    np.testing.assert_allclose(found, [0.6285, 0.2738, 0.0499], atol=6e-5)


@pytest.mark.parametrize("mean", [False, True], ids=["global", "mean"])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_an_independent_oracle(seed, mean):
    atoms = skewed(n=3 + seed, seed=seed)
    entropy, q6 = oracle(atoms, 3.3, mean=mean)
    found = point(atoms, 3.3, q6="mean" if mean else "global")
    assert found.sS == pytest.approx(entropy, abs=1e-4)
    assert pytest.approx(q6, abs=1e-12) == found.Q6


def test_agrees_with_the_oracle_on_a_large_noisy_cell():
    atoms = noisy_copper(3, 0.15, seed=3)
    entropy, q6 = oracle(atoms, 3.0)
    found = point(atoms, 3.0)
    assert found.sS == pytest.approx(entropy, abs=1e-4)
    assert pytest.approx(q6, abs=1e-12) == found.Q6


def rotated(atoms: Atoms) -> Atoms:
    atoms.rotate(37, (1, 2, 3), rotate_cell=True)
    return atoms


def translated(atoms: Atoms) -> Atoms:
    atoms.positions += [0.3, -7.1, 12.9]
    return atoms


def unimodular(atoms: Atoms) -> Atoms:
    atoms.set_cell(np.array([[1, 1, 0], [0, 1, 0], [2, 0, 1]]) @ atoms.cell.array)
    return atoms


def inverted(atoms: Atoms) -> Atoms:
    atoms.positions *= -1
    return atoms


@pytest.mark.parametrize(
    "change",
    [rotated, translated, unimodular, inverted, lambda a: a[::-1], lambda a: a.repeat((2, 1, 3))],
    ids=["rotation", "translation", "cell", "inversion", "permutation", "supercell"],
)
def test_invariances(change):
    atoms = skewed(n=5, seed=11)
    before, after = point(atoms, 3.3), point(change(atoms.copy()), 3.3)
    # Frames keep 1e-8 Å, which bounds how well a rotated copy can agree.
    assert after.sS == pytest.approx(before.sS, abs=1e-5)
    assert pytest.approx(before.Q6, abs=1e-7) == after.Q6


def test_open_systems_have_q6_but_no_entropy():
    slab = fcc111("Al", (2, 2, 3), vacuum=8)
    slab.pbc = (True, True, False)
    cluster = Atoms("Al4", positions=[[0, 0, 0], [2.8, 0, 0], [0, 2.8, 0], [0, 0, 2.8]])
    for atoms in (slab, cluster):
        found = point(atoms, 3.2)
        assert math.isnan(found.sS)
        assert "not periodic" in found.note
        assert 0 < found.Q6 <= 1
    bigger_vacuum = slab.copy()
    bigger_vacuum.center(vacuum=20, axis=2)
    assert pytest.approx(point(slab, 3.2).Q6, abs=1e-7) == point(bigger_vacuum, 3.2).Q6


def test_isolated_atoms_are_counted_and_give_no_nan():
    lonely = Atoms("Al2", positions=[[0, 0, 0], [1, 1, 1]], cell=[20, 20, 20], pbc=True)
    found = point(lonely, 1.5)
    assert found.n_isolated == 2
    assert found.Q6 == 0
    assert math.isfinite(found.sS)


def test_overlapping_atoms_give_no_nan():
    atoms = Atoms("Al2", positions=[[1, 1, 1], [1, 1, 1]], cell=[4, 4, 4], pbc=True)
    found = point(atoms, 3.0)
    assert found.min_distance == 0
    assert math.isfinite(found.Q6)
    assert math.isfinite(found.sS)


def test_auto_cutoff_lies_between_the_shells_of_fcc():
    images = [bulk("Al", "fcc", a, cubic=True) * (2, 2, 2) for a in (3.95, 4.05, 4.15)]
    for image in images:
        image.rattle(0.1, seed=1)
    cutoff = auto_cutoff(from_atoms(images))
    assert 4.05 / math.sqrt(2) * 1.08 < cutoff < 4.05 * 0.95


def test_auto_cutoff_needs_a_bulk_frame():
    with pytest.raises(StageError, match="auto needs frames"):
        auto_cutoff(from_atoms([Atoms("Al2", positions=[[0, 0, 0], [2, 0, 0]])]))


def test_points_of_different_settings_are_never_compared(aluminium):
    table = points(aluminium, Landscape(cutoff=3.4))
    other = points(aluminium, Landscape(cutoff=3.4, sigma=0.2))
    assert table["settings_digest"].iloc[0] != other["settings_digest"].iloc[0]
    mixed = table.copy()
    mixed.loc[0, "settings_digest"] = other["settings_digest"].iloc[0]
    with pytest.raises(StageError, match="different settings"):
        coordinates(mixed)
    assert settings_digest(Landscape(), 3.4) != settings_digest(Landscape(), 3.5)


def test_a_set_maps_as_its_frames_one_by_one(aluminium: Frames):
    settings = Landscape(cutoff=3.4)
    together = points(aluminium, settings)
    for i in range(len(aluminium)):
        alone = points(aluminium.take([i]), settings).iloc[0]
        assert alone.sS == together.iloc[i].sS
        assert alone.Q6 == together.iloc[i].Q6


def test_grid_cells_and_coverage():
    xy = np.array([[-10, 0.0], [-10, 0.6], [-5, 0.3], [0, 0.6]])
    box = bounding_box(xy)
    assert cells(xy, box, 2).tolist() == [[0, 0], [0, 1], [1, 1], [1, 1]]
    found = coverage(xy, box, 2)
    assert found["occupied"] == 3
    assert found["fraction"] == 0.75
    share = np.array([1, 1, 2]) / 4
    assert found["uniformity"] == pytest.approx(-(share * np.log(share)).sum() / np.log(3))


def test_alloys_are_species_blind(aluminium):
    mixed = aluminium.take(range(len(aluminium)))
    mixed.numbers[::2] = 29
    settings = Landscape(cutoff=3.4)
    both = points(concatenate([aluminium, mixed]), settings)
    n = len(aluminium)
    np.testing.assert_array_equal(both["sS"][:n], both["sS"][n:])


def test_icosahedron_by_nearest_neighbours_and_by_cutoff():
    golden = (1 + math.sqrt(5)) / 2
    corners = [(0, s, t * golden) for s in (-1, 1) for t in (-1, 1)]
    shell = np.array([np.roll(c, k) for c in corners for k in range(3)])
    cluster = Atoms("Ar13", positions=np.vstack([[0, 0, 0], shell]) * 2)
    radius = np.linalg.norm(shell[0]) * 2
    for settings in (Landscape(cutoff=radius * 1.02), Landscape(nearest=12)):
        local = per_atom(cluster, settings)
        assert local.q6[0] ** 2 == pytest.approx(11 / 25, abs=1e-12)
        assert local.n_neighbours[0] == 12
        assert local.sS.isna().all()


@pytest.mark.parametrize("k", [4, 12, 14])
def test_nearest_neighbours_agree_with_sorting_all_distances(k):
    atoms = skewed(n=6, seed=5)
    i, d, vectors = neighbor_list("idD", kept(atoms), 9.0)
    nearest = [vectors[i == a][np.argsort(d[i == a])[:k]] for a in range(6)]
    q6 = steinhardt(np.mean([q6m(shell) / k for shell in nearest], axis=0))
    assert points(from_atoms([atoms]), Landscape(nearest=k)).Q6[0] == pytest.approx(q6, abs=1e-12)


def test_local_entropy_of_equivalent_atoms_is_that_of_the_crystal():
    copper = bulk("Cu", "fcc", 3.61, cubic=True)
    local = per_atom(copper, Landscape(cutoff=3.0))
    np.testing.assert_allclose(local.sS, point(copper, 3.0).sS, atol=1e-9)
    np.testing.assert_allclose(local.q6**2, 169 / 512, atol=1e-9)


def test_pair_resolved_entropy_agrees_with_its_definition():
    salt = bulk("NaCl", "rocksalt", 5.64, cubic=True)
    salt.rattle(0.1, seed=2)
    assert point(salt, 3.5, species="pairs").sS == pytest.approx(pair_entropy(salt), abs=1e-4)
    one_kind = skewed(n=4, seed=1)
    alone = point(one_kind, 3.3, species="pairs")
    assert alone.sS == pytest.approx(point(one_kind, 3.3).sS, abs=1e-9)


def test_a_subset_of_elements_is_mapped_as_if_alone():
    salt = bulk("NaCl", "rocksalt", 5.64, cubic=True)
    sodium = salt[salt.numbers == 11]
    chosen, alone = point(salt, 4.2, species=["Na"]), point(sodium, 4.2)
    assert chosen.sS == pytest.approx(alone.sS, abs=1e-12)
    assert pytest.approx(chosen.Q6, abs=1e-12) == alone.Q6
    assert chosen.n_atoms == 8
    nothing = point(bulk("Cu"), 3.0, species=["Na"])
    assert math.isnan(nothing.sS)
    assert nothing.Q6 == 0
    assert nothing.note == "no atom of the chosen species"


def test_a_density_gives_open_frames_an_entropy():
    slab = fcc111("Al", (3, 3, 4), vacuum=8)
    slab.pbc = (True, True, False)
    found = point(slab, 3.2, density=0.06)
    assert math.isfinite(found.sS)
    assert found.note == ""
    other = slab.copy()
    other.center(vacuum=30, axis=2)
    assert point(other, 3.2, density=0.06).sS == pytest.approx(found.sS, abs=1e-6)


def test_threads_and_mapper_agree_with_points(aluminium):
    settings = Landscape(cutoff=3.4)
    table = points(aluminium, settings)
    pd.testing.assert_frame_equal(table, points(aluminium, settings, n_threads=3))
    mapper = Mapper(settings)
    for i in range(len(aluminium)):
        found = mapper(aluminium.atoms(i))
        assert found.sS == table.sS[i]
        assert table.Q6[i] == found.Q6


@pytest.mark.parametrize("n", [2, 5, 9])
def test_all_paths_of_the_bond_pass_agree(n):
    """Nearest images (small, wide cells), cells, and sums per atom give one Q6."""
    atoms = bulk("Cu", "fcc", 3.61, cubic=True) * (2, 2, n)
    atoms.rattle(0.2, seed=n)
    for cutoff in (3.0, 3.6, 5.0, 9.0):
        assert pytest.approx(oracle(atoms, cutoff)[1], abs=1e-11) == point(atoms, cutoff).Q6


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="blind to species"):
        Landscape(definition="published-code", species="pairs")
    with pytest.raises(ValueError, match="no nearest"):
        Landscape(definition="published-code", nearest=12)
    assert Landscape(definition="published-code").sigma == 0.0125
    digests = {
        settings_digest(Landscape(**options), 3.0)
        for options in ({}, {"nearest": 12}, {"q6": "mean"}, {"species": "pairs"},
                        {"density": 0.1}, {"definition": "published-code"})
    }  # fmt: skip
    assert len(digests) == 6


def test_frames_that_are_not_finite_are_refused(aluminium):
    aluminium.positions[3, 0] = np.nan
    with pytest.raises(StageError, match="not finite"):
        points(aluminium, Landscape(cutoff=3.4))


def test_strains_of_hcp_form_the_pattern_of_its_symmetry():
    """Opposite shears, and equal strains along directions the crystal cannot tell apart."""
    base = hcp() * (3, 3, 2)

    def strained(i: int, j: int, size: float):
        strain = np.zeros((3, 3))
        strain[i, j] = strain[j, i] = size
        atoms = base.copy()
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        return point(atoms, 3.9)

    for size in (0.02, 0.05):
        for i, j in ((1, 2), (0, 2), (0, 1)):
            forth, back = strained(i, j, size), strained(i, j, -size)
            assert forth.sS == pytest.approx(back.sS, abs=2e-4), (i, j)
            assert pytest.approx(forth.Q6, abs=1e-6) == back.Q6, (i, j)
        # yz and xz shears differ by a rotation about c, which elasticity cannot see but
        # the basal plane's trigonal order can only to higher order.
        assert pytest.approx(strained(0, 2, size).Q6, abs=2e-2) == strained(1, 2, size).Q6
    assert strained(2, 2, 0.05).sS != pytest.approx(strained(0, 0, 0.05).sS, abs=0.1)


def test_disorder_moves_to_the_right_and_down():
    crystal = bulk("NaCl", "rocksalt", 5.64, cubic=True) * (2, 2, 2)
    found = []
    for size in (0.02, 0.1, 0.3, 0.8):
        atoms = crystal.copy()
        atoms.rattle(size, seed=1)
        found.append(point(atoms, 3.6))
    assert np.all(np.diff([p.sS for p in found]) > 0)
    assert np.all(np.diff([p.Q6 for p in found]) < 0)
    assert found[-1].sS > -3


@pytest.mark.slow
def test_many_processes_on_one_empty_cache_do_no_harm(tmp_path):
    script = (
        "from ase.build import bulk; from polymorphkd.landscape import Mapper; "
        "from polymorphkd.settings import Landscape; "
        "print(Mapper(Landscape(cutoff=3.0))(bulk('Cu', 'fcc', 3.61)).sS)"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    texts = {process.communicate(timeout=300)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(texts) == 1
    assert float(texts.pop()) == pytest.approx(-48.6525, abs=6e-4)
