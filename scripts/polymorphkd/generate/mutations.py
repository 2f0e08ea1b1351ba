"""The genes: displacement D, volume V and shape S."""

from __future__ import annotations

import numpy as np

from ..settings import Amplitudes

GENES = "DVS"


def mutate(
    positions: np.ndarray,
    cell: np.ndarray,
    pbc: np.ndarray,
    amplitudes: Amplitudes,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, str]:
    """One mutant of a structure; at least one gene mutates, each with probability 1/2.

    Parameters
    ----------
    positions : ndarray, shape (n, 3), Å
    cell : ndarray, shape (3, 3), Å
    pbc : ndarray, shape (3,), bool
        V and S act on frames that are periodic in all directions only.
    amplitudes : Amplitudes
    random : Generator

    Returns
    -------
    positions, cell : ndarray
        New arrays.
    operator : str
        The genes that mutated, for example ``D+S``.
    """
    genes = GENES if pbc.all() else "D"
    mask = random.random(len(genes)) < 0.5
    if not mask.any():
        mask[random.integers(len(genes))] = True
    chosen = [gene for gene, on in zip(genes, mask, strict=True) if on]
    deformation = np.eye(3)
    if "S" in chosen:
        deformation = _shape(amplitudes.shear, random)
    if "V" in chosen:
        change = random.uniform(-amplitudes.volume, amplitudes.volume)
        deformation = deformation * (1 + change) ** (1 / 3)
    new_cell = cell @ deformation
    new_positions = positions @ deformation
    if "D" in chosen:
        new_positions = new_positions + _displacement(len(positions), amplitudes, random)
    return new_positions, new_cell, "+".join(chosen)


def _shape(sigma: float, random: np.random.Generator) -> np.ndarray:
    """Symmetric strain of unit determinant, shape (3, 3): shape without volume."""
    strain = random.normal(0, sigma, (3, 3))
    deformation = np.eye(3) + (strain + strain.T) / 2
    return deformation / np.cbrt(np.linalg.det(deformation))


def _displacement(n: int, amplitudes: Amplitudes, random: np.random.Generator) -> np.ndarray:
    """Gaussian displacement of a random share of the atoms, shape (n, 3), Å."""
    low, high = amplitudes.displaced_fraction
    share = random.uniform(low, high)
    moved = random.permutation(n)[: max(1, round(share * n))]
    result = np.zeros((n, 3))
    result[moved] = random.normal(0, amplitudes.displacement, (len(moved), 3))
    return result
