"""The genes D, V and S, their kinds, and blends of relatives."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from generation import copies
from polymorphkd.errors import InputError
from polymorphkd.generate.breeder import Mate, blend
from polymorphkd.generate.individuals import Founder, Member
from polymorphkd.generate.mutations import (
    GAUSSIAN,
    HOP,
    STILL,
    SWAP,
    WAVE,
    Genes,
    deformations,
    mutate,
    random_genes,
)
from polymorphkd.generate.units import rigid_units
from polymorphkd.settings import Amplitudes, Displacements

N = 60


def genes(on: str, kind: int = GAUSSIAN, share: float = 0.5, scale: float = 1.0) -> Genes:
    mask = np.array([letter in on for letter in "DVS"])
    return Genes(np.tile(mask, (N, 1)), np.full(N, kind), np.full(N, scale), np.full(N, share))


def mutants(atoms: Atoms, chosen: Genes, units=None, **amplitudes):
    """Structures after one mutation, and their operators."""
    structures = copies(atoms, N, units)
    random = np.random.default_rng(7)
    return structures, mutate(structures, chosen, Amplitudes(**amplitudes), random)


def fractional(structures, i: int) -> np.ndarray:
    return structures.positions[structures.of(i)] @ np.linalg.inv(structures.cells[i])


AL = bulk("Al", "fcc", 4.05, cubic=True)


def test_volume_alone_keeps_shape_and_fractional_coordinates():
    structures, operators = mutants(AL, genes("V"), volume=0.2)
    ratio = np.linalg.det(structures.cells) / AL.get_volume()
    assert set(operators) == {"V"}
    assert 0.8 <= ratio.min() < 0.85
    assert 1.15 < ratio.max() <= 1.2
    shape = structures.cells / np.cbrt(ratio)[:, None, None]
    np.testing.assert_allclose(shape, np.tile(AL.cell.array, (N, 1, 1)), atol=1e-12)
    for i in range(N):
        np.testing.assert_allclose(
            fractional(structures, i), AL.get_scaled_positions(), atol=1e-12
        )


def test_shape_alone_keeps_the_volume():
    structures, operators = mutants(AL, genes("S"), shear=0.1)
    assert set(operators) == {"S"}
    np.testing.assert_allclose(np.linalg.det(structures.cells), AL.get_volume(), rtol=1e-12)
    strain = np.linalg.inv(AL.cell.array) @ structures.cells
    np.testing.assert_allclose(strain, strain.transpose(0, 2, 1), atol=1e-12)
    # Off-diagonal components of (strain + strain^T)/2 spread by shear / sqrt(2).
    assert np.std(strain[:, 0, 1]) == pytest.approx(0.1 / np.sqrt(2), rel=0.25)


@pytest.mark.parametrize(("share", "moved"), [(0.0, 1), (0.25, 1), (0.5, 2), (1.0, 4)])
def test_displacement_moves_its_share_of_the_atoms(share, moved):
    structures, operators = mutants(AL, genes("D", share=share), displacement=0.2)
    step = structures.positions.reshape(N, 4, 3) - AL.positions
    assert set(operators) == {"D"}
    assert (np.any(step != 0, axis=2).sum(axis=1) == moved).all()
    assert np.std(step[step != 0]) == pytest.approx(0.2, rel=0.2)
    np.testing.assert_array_equal(structures.cells, np.tile(AL.cell.array, (N, 1, 1)))


def test_size_of_a_mutation_scales():
    small, _ = mutants(AL, genes("DVS", scale=0.1, share=1.0))
    large, _ = mutants(AL, genes("DVS", scale=1.0, share=1.0))
    for name in ("positions", "cells"):
        start = getattr(copies(AL, N), name)
        ratio = np.std(getattr(small, name) - start) / np.std(getattr(large, name) - start)
        assert ratio == pytest.approx(0.1, rel=0.05)


def test_a_wave_is_smooth_and_periodic():
    chain = bulk("Al", "fcc", 4.05, cubic=True) * (6, 1, 1)
    structures, operators = mutants(chain, genes("D", WAVE), displacement=0.1)
    assert set(operators) == {"Dwave"}
    step = structures.positions.reshape(N, len(chain), 3) - chain.positions
    # All atoms move along one direction, with one amplitude of mean square 1.
    for one in step:
        assert np.linalg.matrix_rank(one, tol=1e-9) == 1
    assert np.mean(np.sum(step**2, axis=2)) == pytest.approx(3 * 0.1**2, rel=0.4)
    shifted = copies(chain, N)
    shifted.positions[:] += np.tile(chain.cell.array[0], (N * len(chain), 1))
    mutate(shifted, genes("D", WAVE), Amplitudes(displacement=0.1), np.random.default_rng(7))
    back = shifted.positions.reshape(N, len(chain), 3) - chain.cell.array[0]
    np.testing.assert_allclose(back, structures.positions.reshape(N, -1, 3), atol=1e-9)


def test_a_swap_keeps_positions_and_composition():
    alloy = bulk("NaCl", "rocksalt", 5.6, cubic=True)
    structures, operators = mutants(alloy, genes("D", SWAP, share=0.5))
    assert set(operators) == {"Dswap"}
    np.testing.assert_array_equal(structures.positions.reshape(N, -1, 3)[3], alloy.positions)
    numbers = structures.numbers.reshape(N, -1)
    assert (np.sort(numbers, axis=1) == np.sort(alloy.numbers)).all()
    assert (numbers != alloy.numbers).any(axis=1).mean() > 0.8


def test_an_element_alone_cannot_swap():
    _, operators = mutants(AL, genes("D", SWAP))
    assert set(operators) == {"D"}


@pytest.mark.parametrize("pbc", [True, (True, True, False), False])
def test_a_hop_takes_one_atom_to_a_void(pbc):
    crystal = bulk("Al", "fcc", 4.05, cubic=True) * (2, 2, 2)
    del crystal[0]
    crystal.pbc = pbc
    structures, operators = mutants(crystal, genes("D", HOP))
    assert set(operators) == {"Dhop"}
    step = structures.positions.reshape(N, -1, 3) - crystal.positions
    assert (np.any(step != 0, axis=2).sum(axis=1) == 1).all()
    distances = [
        Atoms(crystal.numbers, structures.positions[structures.of(i)], cell=crystal.cell, pbc=pbc)
        .get_all_distances(mic=True)[~np.eye(len(crystal), dtype=bool)].min()
        for i in range(N)
    ]  # fmt: skip
    assert np.median(distances) > 1.4  # the octahedral void is 2.0 Å from its neighbours


@pytest.mark.parametrize("pbc", [(True, True, False), (True, False, False)])
def test_slabs_and_chains_are_strained_along_periodic_directions_only(pbc):
    slab = bulk("Al", "fcc", 4.05, cubic=True)
    slab.cell[2] = (0, 0, 20)
    slab.pbc = pbc
    n_open = 3 - sum(pbc)
    structures, _ = mutants(slab, genes("VS"), volume=0.2, shear=0.1)
    np.testing.assert_array_equal(structures.cells[:, 3 - n_open :], [slab.cell[3 - n_open :]] * N)
    heights = structures.positions.reshape(N, -1, 3)[:, :, 3 - n_open :]
    np.testing.assert_allclose(heights, [slab.positions[:, 3 - n_open :]] * N, atol=1e-12)
    ratio = np.linalg.det(structures.cells) / slab.get_volume()
    assert np.ptp(ratio) > 0.3
    assert (np.abs(ratio - 1) <= 0.2 + 1e-9).all()


def test_a_cluster_is_only_displaced():
    random = np.random.default_rng(1)
    chosen = random_genes(np.zeros((N, 3), bool), Amplitudes(), Displacements(), random)
    assert (chosen.on == (True, False, False)).all()
    chosen = random_genes(np.ones((N, 3), bool), Amplitudes(), Displacements(wave=1), random)
    assert chosen.on.any(axis=1).all()
    assert len(np.unique(chosen.on, axis=0)) == 7
    assert set(chosen.kind) == {GAUSSIAN, WAVE}
    assert STILL not in chosen.kind
    chain = np.tile((True, False, False), (N, 1))
    chosen = random_genes(chain, Amplitudes(), Displacements(), random)
    assert not chosen.on[:, 2].any()  # a line has a length, but no shape
    assert chosen.on.any(axis=1).all()


def test_deformations_compose_volume_and_strain():
    strain = np.array([[[0.1, 0.05, 0], [0.05, -0.3, 0.02], [0, 0.02, 0.1]]])
    made = deformations(np.eye(3)[None], np.ones((1, 3), bool), np.array([1.3]), strain)[0]
    from scipy.linalg import expm

    expected = expm(strain[0] - np.trace(strain[0]) / 3 * np.eye(3)) * 1.3 ** (1 / 3)
    np.testing.assert_allclose(made, expected, atol=1e-12)


def water(n: int = 2) -> Atoms:
    one = molecule("H2O")
    one.cell, one.pbc = [4, 4, 4], True
    one.positions += 3.7  # across the faces of the cell
    crystal = one * (n, n, n)
    crystal.wrap()
    return crystal


def test_rigid_units_are_the_molecules():
    ice = water()
    units, positions = rigid_units(ice.numbers, ice.positions, ice.cell.array, ice.pbc)
    assert (np.bincount(units) == 3).all()
    for u in range(8):
        whole = positions[units == u]
        assert np.linalg.norm(whole - whole.mean(axis=0), axis=1).max() < 1.0


@pytest.mark.parametrize(("on", "kind"), [("D", GAUSSIAN), ("D", WAVE), ("DVS", GAUSSIAN)])
def test_rigid_units_keep_their_inner_distances(on, kind):
    ice = water()
    units, ice.positions = rigid_units(ice.numbers, ice.positions, ice.cell.array, ice.pbc)
    structures, _ = mutants(ice, genes(on, kind, share=1.0), units, displacement=0.3, volume=0.2)
    moved = structures.positions.reshape(N, -1, 3)
    assert np.abs(moved - ice.positions).max() > 0.2
    for u in range(8):
        before, after = ice.positions[units == u], moved[:, units == u]
        for a, b in ((0, 1), (0, 2), (1, 2)):
            length = np.linalg.norm(after[:, a] - after[:, b], axis=1)
            np.testing.assert_allclose(length, np.linalg.norm(before[a] - before[b]), rtol=1e-9)


def test_units_without_end_are_refused():
    diamond = bulk("C", "diamond", 3.567, cubic=True)
    with pytest.raises(InputError, match="without end"):
        rigid_units(diamond.numbers, diamond.positions, diamond.cell.array, diamond.pbc)


def member(atoms: Atoms) -> Member:
    founder = Founder("f", atoms.get_volume(), np.arange(len(atoms)), b"")
    return Member(
        atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, np.zeros(2), "f", founder
    )


def test_a_blend_goes_straight_and_the_short_way():
    one, other = AL.copy(), AL.copy()
    other.set_cell(AL.cell * 1.1, scale_atoms=True)
    other.positions[1] += (0.3, 0, 0)
    other.positions[2] += other.cell[0]  # the same place in the next cell
    other.positions += 0.7  # a shift of the whole crystal is no difference
    for t in (0.0, 0.5, 1.0, 1.4):
        positions, cell = blend(member(one), Mate(member(other), t))
        np.testing.assert_allclose(cell, AL.cell.array * (1 + 0.1 * t), atol=1e-12)
        found = positions @ np.linalg.inv(cell) - AL.get_scaled_positions()
        found -= found[0]
        expected = np.zeros((4, 3))
        expected[1, 0] = t * 0.3 / (4.05 * 1.1)
        np.testing.assert_allclose(found, expected, atol=1e-12)
