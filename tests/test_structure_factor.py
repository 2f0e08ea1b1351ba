"""Static structure factor against sums by definition, crystals, and the ideal gas."""

import numpy as np
import pytest
from ase.build import bulk
from polymorphkd.errors import InputError
from polymorphkd.properties.structure_factor import structure_factor


def by_definition(positions, cell, q_max, step):
    """Every vector of a large block, one by one."""
    block = np.array(list(np.ndindex(25, 25, 25))) - 12
    block = block[block.any(axis=1)]
    q = 2 * np.pi * block @ np.linalg.inv(cell).T
    length = np.linalg.norm(q, axis=1)
    q, length = q[length <= q_max], length[length <= q_max]
    s = np.abs(np.exp(1j * q @ positions.T).sum(axis=1)) ** 2 / len(positions)
    bins = np.minimum((length / step).astype(int), int(np.ceil(q_max / step)) - 1)
    found = np.unique(bins)
    return (
        np.array([length[bins == b].mean() for b in found]),
        np.array([s[bins == b].mean() for b in found]),
    )


@pytest.mark.parametrize("skew", [0.0, 1.5])
def test_sums_by_definition(skew):
    random = np.random.default_rng(1)
    cell = np.diag([5.0, 6.0, 7.0])
    cell[1, 0] = cell[2, 1] = skew
    positions = random.random((20, 3)) @ cell
    q, s = structure_factor(positions, cell, 6.0, 0.25)
    expected_q, expected = by_definition(positions, cell, 6.0, 0.25)
    np.testing.assert_allclose(q, expected_q, rtol=1e-12)
    np.testing.assert_allclose(s, expected, rtol=1e-9)


def test_a_crystal_scatters_at_its_bragg_vectors_only():
    diamond = bulk("C", "diamond", 3.567, cubic=True) * (3, 3, 3)
    q, s = structure_factor(diamond.positions, diamond.cell.array, 6.0, 0.01)
    unit = 2 * np.pi / 3.567
    peaks = q[s > 1]
    np.testing.assert_allclose(peaks, unit * np.sqrt([3, 8, 11]), atol=0.01)
    assert (s[s <= 1] < 1e-9).all()
    # |1 + exp(i pi (h+k+l)/2)|^2 of diamond: (111) has half of (220).
    first = bulk("C", "diamond", 3.567, cubic=True)
    _, one = structure_factor(first.positions, first.cell.array, unit * 1.74, 0.01)
    assert one[-1] == pytest.approx(8 * 0.5)


def test_an_ideal_gas_has_none():
    random = np.random.default_rng(1)
    cell = np.eye(3) * 20
    q, s = structure_factor(random.random((500, 3)) @ cell, cell, 8.0, 0.5)
    assert np.mean(s[q > 1]) == pytest.approx(1, abs=0.02)


def test_positions_outside_the_cell_and_shifts_change_nothing():
    random = np.random.default_rng(2)
    cell = np.eye(3) * 6
    positions = random.random((30, 3)) @ cell
    moved = positions + 0.3 + random.integers(-2, 3, (30, 3)) @ cell
    _, s = structure_factor(positions, cell, 5.0)
    np.testing.assert_allclose(structure_factor(moved, cell, 5.0)[1], s, rtol=1e-9)


def test_what_has_no_structure_factor_is_refused():
    with pytest.raises(InputError, match="no volume"):
        structure_factor(np.zeros((1, 3)), np.zeros((3, 3)), 5.0)
    with pytest.raises(InputError, match="below all vectors"):
        structure_factor(np.zeros((1, 3)), np.eye(3), 5.0)
