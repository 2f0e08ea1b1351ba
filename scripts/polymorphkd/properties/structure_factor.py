"""Static structure factor of periodic configurations by direct sums."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ..errors import InputError


def structure_factor(
    positions: np.ndarray, cell: np.ndarray, q_max: float, step: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """S(q) = |sum_j exp(i q r_j)|^2 / N over all reciprocal vectors of the cell, in shells.

    All atoms weigh the same (the number-number structure factor).  Exact for the periodic
    system: no cutoff, no window, and no q that the cell does not have.

    Parameters
    ----------
    positions : ndarray, shape (n, 3), float64, Å
    cell : ndarray, shape (3, 3), float64, Å
        Periodic in all directions.
    q_max : float, 1/Å
        Largest length of a wave vector (2 pi included).
    step : float, 1/Å
        Width of the shells over which S is averaged.

    Returns
    -------
    q : ndarray, shape (m,), float64, 1/Å
        Mean length of the vectors of each shell that has any.
    s : ndarray, shape (m,), float64
        Mean S of the shell; 1 for an ideal gas.

    Raises
    ------
    InputError
        The cell has no volume, or `q_max` reaches not one of its vectors.
    """
    if abs(np.linalg.det(cell)) < 1e-9:
        raise InputError("structure factor: the cell has no volume")
    inverse = np.linalg.inv(cell)
    fractional = np.ascontiguousarray((positions @ inverse).T)
    # A vector (h, k, l) of length |q| has |h| <= |q| |a| / 2 pi.
    lengths = np.linalg.norm(cell, axis=1)
    limits = np.floor(q_max * lengths / (2 * math.pi)).astype(np.int64)
    n_bins = math.ceil(q_max / step)
    sums, totals, counts = np.zeros(n_bins), np.zeros(n_bins), np.zeros(n_bins)
    reciprocal = 2 * math.pi * inverse.T
    _shells(fractional, reciprocal, limits, q_max, step, sums, totals, counts)
    some = counts > 0
    if not some.any():
        raise InputError(f"structure factor: q_max {q_max:g} is below all vectors of the cell")
    return totals[some] / counts[some], sums[some] / counts[some]


@njit(cache=True, nogil=True)
def _phases(fractional, limit):  # type: ignore[no-untyped-def]
    """exp(2 pi i h x) of h = 0 to `limit` for one coordinate of all atoms."""
    table = np.empty((limit + 1, fractional.shape[0]), dtype=np.complex128)
    for j in range(fractional.shape[0]):
        angle = 2 * math.pi * fractional[j]
        for h in range(limit + 1):
            table[h, j] = complex(math.cos(h * angle), math.sin(h * angle))
    return table


@njit(cache=True, nogil=True)
def _shells(fractional, reciprocal, limits, q_max, step, sums, totals, counts):  # type: ignore[no-untyped-def]
    n = fractional.shape[1]
    px, py, pz = (
        _phases(fractional[0], limits[0]),
        _phases(fractional[1], limits[1]),
        _phases(fractional[2], limits[2]),
    )
    plane = np.empty(n, dtype=np.complex128)
    for h in range(limits[0] + 1):
        for k in range(-limits[1], limits[1] + 1):
            if h == 0 and k < 0:
                continue  # S(q) = S(-q): half of the vectors are enough
            for j in range(n):
                y = py[abs(k), j]
                plane[j] = px[h, j] * (y if k >= 0 else y.conjugate())
            for m in range(-limits[2], limits[2] + 1):
                if h == 0 and k == 0 and m <= 0:
                    continue
                squared = 0.0
                for c in range(3):
                    q = h * reciprocal[0, c] + k * reciprocal[1, c] + m * reciprocal[2, c]
                    squared += q * q
                length = math.sqrt(squared)
                if length > q_max:
                    continue
                total = 0.0j
                if m >= 0:
                    for j in range(n):
                        total += plane[j] * pz[m, j]
                else:
                    for j in range(n):
                        total += plane[j] * pz[-m, j].conjugate()
                bin_ = min(int(length / step), sums.shape[0] - 1)
                sums[bin_] += (total.real**2 + total.imag**2) / n
                totals[bin_] += length
                counts[bin_] += 1
