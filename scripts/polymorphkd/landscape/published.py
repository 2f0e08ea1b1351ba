"""The pair entropy of the original software, for continuing its results.

Other than Eqs. 6 and 7: each pair counts once and by its nearest image alone, g(r) is not
divided by the density but multiplied by no bin width either, Gaussians narrower than the
bins are sampled at 100 bin centres, and Simpson's rule integrates over them.  These rules
reproduce the numbers of the authors' public program (LZYUCL/PolymorphGen-MLPKD, 18c8df8).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .images import INNER, OUTER, inverse

N_BINS = 100
"""Bins between 0 and rmax."""


def published_entropies(
    offsets: np.ndarray, positions: np.ndarray, cells: np.ndarray, pbc: np.ndarray,
    sigma: float, rmax: float, out: np.ndarray,
) -> None:  # fmt: skip
    """sS of the published program for every frame into `out` (n_frames), NaN without volume.

    Parameters
    ----------
    offsets, positions, cells, pbc
        Flat arrays of a ragged set, as in :class:`polymorphkd.frames.Frames`.
    sigma, rmax : float, Å
        The authors used 0.0125 and 8.
    """
    from scipy.integrate import simpson  # on use: a quarter of the time in which `map` starts

    centres = (np.arange(N_BINS) + 0.5) * rmax / N_BINS
    weights = np.array([simpson(row, x=centres) for row in np.eye(N_BINS)])
    _entropies(offsets, positions, cells, pbc, sigma, rmax, centres, weights, out)


@njit(**INNER)
def _nearest_image(d: np.ndarray, cell: np.ndarray) -> float:
    """Smallest squared length of fractional vector `d` (in [-1/2, 1/2]) over near images."""
    best = math.inf
    for n0 in range(-1, 2):
        for n1 in range(-1, 2):
            for n2 in range(-1, 2):
                squared = 0.0
                for c in range(3):
                    squared += (
                        (d[0] + n0) * cell[0, c]
                        + (d[1] + n1) * cell[1, c]
                        + (d[2] + n2) * cell[2, c]
                    ) ** 2
                best = min(best, squared)
    return best


@njit(**OUTER)
def _entropies(offsets, positions, cells, pbc, sigma, rmax, centres, weights, out):  # type: ignore[no-untyped-def]
    inv, d = np.empty((3, 3)), np.empty(3)
    width = rmax / centres.shape[0]
    reach = 40 * sigma  # exp(-800) is zero in double precision
    peak = 1 / (sigma * math.sqrt(2 * math.pi))
    for f in range(offsets.shape[0] - 1):
        out[f] = math.nan
        n = offsets[f + 1] - offsets[f]
        if n == 0 or not (pbc[f, 0] and pbc[f, 1] and pbc[f, 2]):
            continue
        volume = abs(inverse(cells[f], inv))
        fractional = positions[offsets[f] : offsets[f + 1]] @ inv
        sums = np.zeros(centres.shape[0])
        for i in range(n):
            for j in range(i + 1, n):
                for c in range(3):
                    d[c] = fractional[i, c] - fractional[j, c]
                    d[c] -= math.floor(d[c] + 0.5)
                r = math.sqrt(_nearest_image(d, cells[f]))
                if r >= rmax:
                    continue
                low = max(int((r - reach) / width), 0)
                high = min(int((r + reach) / width) + 1, centres.shape[0])
                for k in range(low, high):
                    u = (centres[k] - r) / sigma
                    sums[k] += peak * math.exp(-0.5 * u * u)
        total = 0.0
        for k in range(centres.shape[0]):
            r2 = centres[k] ** 2
            g = sums[k] / (4 * math.pi * r2 * width * n)
            total += weights[k] * (g * math.log(g + 1e-10) - g + 1) * r2
        out[f] = -2 * math.pi * n / volume * total
