"""How far two periodic structures are from each other, and the shortest way between them.

The distance is that of the generalised solid-state nudged elastic band (Sheppard et al.,
J. Chem. Phys. 136, 074103 (2012)),

    d^2 = sum_i |dr_i|^2 + J^2 |eps|^2,    J = (V / N)^(1/3) N^(1/2),

with the displacements dr_i at fixed cell, measured in the mean of both cells, and the
logarithmic strain eps = log U between the cells.  It is smallest over the choice of
lattice vectors (all whose coefficients in the given ones are -1, 0 or 1, mirror images
included), the order of atoms of one species, and the common shift of all atoms; rotations
drop out because only lengths and angles of cells enter.  It is the same from a to b as
from b to a.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
from ase import Atoms
from numba import njit
from scipy.linalg import expm
from scipy.optimize import linear_sum_assignment

ROUNDS = 3
"""Times that atoms are assigned again after the common shift was taken off."""

FORBIDDEN = 1e6
"""Cost in Å^2 of an atom that takes the place of another species."""


@dataclass(frozen=True)
class Alignment:
    """Shortest way from one structure to another.

    Parameters
    ----------
    distance : float, Å
    strain : ndarray, shape (3, 3), float64
        Symmetric logarithmic strain in the axes of the first structure; its cell becomes
        ``cell @ expm(strain)``.
    shift : ndarray, shape (n_atoms, 3), float64
        Changes of the fractional coordinates, in the order of the first structure.
    choice : ndarray, shape (3, 3), int64
        Lattice vectors of the second structure that those of the first become, as
        coefficients of its own: ``choice @ cell``.
    """

    distance: float
    strain: np.ndarray
    shift: np.ndarray
    choice: np.ndarray

    def at(self, start: Atoms, share: float) -> Atoms:
        """Structure at `share` of the way; 1 is the second one, in axes of the first."""
        cell = start.cell.array
        scaled = start.positions @ np.linalg.inv(cell)
        moved = cell @ expm(share * self.strain)
        return Atoms(
            numbers=start.numbers,
            positions=(scaled + share * self.shift) @ moved,
            cell=moved,
            pbc=True,
        )


@cache
def _cell_choices() -> np.ndarray:
    """Unimodular matrices of -1, 0 and 1, shape (6960, 3, 3), float64; the unit first."""
    rows = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    every = rows[np.array(list(itertools.product(range(27), repeat=3)))]
    found = every[np.abs(np.round(np.linalg.det(every))) == 1].astype(float)
    order = np.argsort(np.abs(found - np.eye(3)).sum(axis=(1, 2)), kind="stable")
    return found[order]


def _choices_within(
    cell: np.ndarray, other: np.ndarray, most: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choices of lattice vectors of `other` that are strained by at most `most`.

    Returns
    -------
    choices, tensors : ndarray, shape (n, 3, 3)
        Coefficients, and C = F F^T of the deformation F from `cell`.
    strains : ndarray, shape (n,)
        Frobenius norms of the logarithmic strain, ascending.
    """
    choices = _cell_choices()
    metric = other @ other.T
    if np.isfinite(most):
        # No length changes by more than the largest principal strain.
        lengths = np.sqrt(np.einsum("nij,jk,nik->ni", choices, metric, choices))
        ratio = np.abs(np.log(lengths / np.linalg.norm(cell, axis=1)))
        choices = choices[np.all(ratio <= most + 1e-9, axis=1)]
    inverse = np.linalg.inv(cell)
    half = np.einsum("ij,njk->nik", inverse, choices)
    tensors = np.einsum("nij,jk,nlk->nil", half, metric, half)
    strains = np.linalg.norm(np.log(np.linalg.eigvalsh(tensors)) / 2, axis=1)
    order = np.argsort(np.round(strains, 9), kind="stable")
    order = order[strains[order] <= most]
    return choices[order], tensors[order], strains[order]


@njit(cache=True)
def _nearest_images(
    scaled: np.ndarray, other: np.ndarray, origin: np.ndarray, metric: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shortest vectors from each atom to each other, and their squared lengths.

    Parameters
    ----------
    scaled, other : ndarray, shape (n, 3)
        Fractional coordinates.
    origin : ndarray, shape (3,)
        Common shift of the others.
    metric : ndarray, shape (3, 3), Å^2
        Scalar products of the cell vectors.

    Returns
    -------
    steps : ndarray, shape (n, n, 3)
        Fractional.
    squared : ndarray, shape (n, n), Å^2
    """
    n = scaled.shape[0]
    steps = np.empty((n, n, 3))
    squared = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            x, y, z = other[j] + origin - scaled[i]
            x, y, z = x - np.round(x), y - np.round(y), z - np.round(z)
            best = np.inf
            # Rounding alone misses the shortest image in a skewed cell.
            for k in range(27):
                u, v, w = x + k // 9 - 1, y + k // 3 % 3 - 1, z + k % 3 - 1
                length = (
                    metric[0, 0] * u * u + metric[1, 1] * v * v + metric[2, 2] * w * w
                    + 2 * (metric[0, 1] * u * v + metric[0, 2] * u * w + metric[1, 2] * v * w)
                )  # fmt: skip
                # Of images equally far the first stays, whatever the rounding.
                if length < best - 1e-9:
                    best = length
                    steps[i, j, 0], steps[i, j, 1], steps[i, j, 2] = u, v, w
            squared[i, j] = best
    return steps, squared


def _best_shift(
    scaled: np.ndarray,
    other: np.ndarray,
    different: np.ndarray,
    metric: np.ndarray,
    limit: float,
) -> tuple[float, np.ndarray]:
    """Smallest sum of squared displacements over order and common shift, and those.

    Each shift that puts an atom of the same species on the first one is tried; then atoms
    are assigned (Hungarian method), the mean displacement is taken off, and both again.

    Parameters
    ----------
    scaled, other : ndarray, shape (n, 3)
        Fractional coordinates.
    different : ndarray, shape (n, n), bool
        Pairs that are no candidates because their species differ.
    metric : ndarray, shape (3, 3), Å^2
    limit : float, Å^2
        Sums that cannot fall below are not looked at; infinite if none does.
    """
    n = len(scaled)
    best, best_shift = np.inf, np.zeros((n, 3))
    for j in np.flatnonzero(~different[0]):
        origin = scaled[0] - other[j]
        for _ in range(ROUNDS):
            steps, cost = _nearest_images(scaled, other, origin, metric)
            cost[different] = FORBIDDEN
            # With the first atom in place the sum is at most n times that of the best shift.
            if cost.min(axis=1).sum() > n * min(limit, best):
                break
            rows, columns = linear_sum_assignment(cost)
            shift = steps[rows, columns]
            mean = shift.mean(axis=0)
            shift = shift - mean
            total = float(np.einsum("ni,ij,nj->", shift, metric, shift))
            if total < best - 1e-12:
                best, best_shift = total, shift
            if np.abs(mean).max() < 1e-9:
                break
            origin = origin - mean
    return best, best_shift


def comparable(a: Atoms, b: Atoms) -> bool:
    """Whether two structures are fully periodic and of equal composition and size."""
    return bool(a.pbc.all() and b.pbc.all()) and np.array_equal(
        np.sort(a.numbers), np.sort(b.numbers)
    )


def cell_factor(a: Atoms, b: Atoms) -> float:
    """J of the distance, Å, with the geometric mean of both volumes."""
    n = len(a)
    return (np.sqrt(a.get_volume() * b.get_volume()) / n) ** (1 / 3) * np.sqrt(n)


def align(a: Atoms, b: Atoms, limit: float = np.inf) -> Alignment | None:
    """Shortest way from `a` to `b`, or None if it is longer than `limit` (Å).

    Without a limit all 6,960 choices of lattice vectors are looked at, which takes
    seconds; with one, those that strain the cell no more than it allows.

    Raises
    ------
    ValueError
        The structures are not comparable; see :func:`comparable`.
    """
    if not comparable(a, b):
        raise ValueError("only fully periodic structures of equal composition can be aligned")
    factor = cell_factor(a, b)
    cell, other_cell = a.cell.array, b.cell.array
    scaled = a.positions @ np.linalg.inv(cell)
    other = b.positions @ np.linalg.inv(other_cell)
    different = a.numbers[:, None] != b.numbers[None, :]
    best = limit**2
    found: Alignment | None = None
    choices, tensors, strains = _choices_within(cell, other_cell, limit / factor)
    for choice, tensor, strain in zip(choices, tensors, strains, strict=True):
        room = best - (factor * strain) ** 2
        if room < 0:
            break
        vectors = choice @ other_cell
        metric = (cell @ cell.T + vectors @ vectors.T) / 2
        moved = other @ np.linalg.inv(choice)
        squared, shift = _best_shift(scaled, moved, different, metric, room)
        if squared < room - 1e-12 or (found is None and squared <= room):
            best = squared + (factor * strain) ** 2
            found = Alignment(
                np.sqrt(best), _strain_of(tensor), shift, np.rint(choice).astype(np.int64)
            )
    return found


def follow(a: Atoms, b: Atoms) -> Alignment:
    """Way from `a` to `b` with cells, atoms and images as they are given, nothing searched.

    Raises
    ------
    ValueError
        The atoms are not the same in the same order.
    """
    if not np.array_equal(a.numbers, b.numbers):
        raise ValueError("the atoms of the two structures are not in the same order")
    cell, other_cell = a.cell.array, b.cell.array
    inverse = np.linalg.inv(cell)
    strain = _strain_of(inverse @ other_cell @ other_cell.T @ inverse.T)
    shift = b.positions @ np.linalg.inv(other_cell) - a.positions @ inverse
    metric = (cell @ cell.T + other_cell @ other_cell.T) / 2
    squared = float(np.einsum("ni,ij,nj->", shift, metric, shift))
    squared += (cell_factor(a, b) * float(np.linalg.norm(strain))) ** 2
    return Alignment(np.sqrt(squared), strain, shift, np.eye(3, dtype=np.int64))


def _strain_of(tensor: np.ndarray) -> np.ndarray:
    """Logarithmic strain of C = F F^T."""
    values, axes = np.linalg.eigh(tensor)
    return (axes * np.log(values) / 2) @ axes.T
