"""Pair entropy sS: from pair distances to g_m(r) and its integral (Eqs. 6 and 7).

g_m(r) on the grid r = k h, h = sigma / 4, is a sum of Gaussians, one per pair.  A Gaussian
is, to 1e-6 of its height, a combination of cubic B-splines on nodes `BINS_PER_STEP` times
as fine; so is the same Gaussian centred between nodes.  Each pair therefore only adds 1, t,
t^2 and t^3 (its place t within its bin) to four moments of the bin; moments turn into
B-spline weights of the nodes once per frame, and one convolution with the B-spline
coefficients of the Gaussian (`gaussian_taps`) gives g_m.  The cost per pair does not depend
on sigma.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numba import njit, uint64

from .candidates import gather, squared_distances
from .images import FAST, INNER, ONE, OUTER, Neighbourhood

GAUSSIAN_REACH = 5.0
"""Pairs out to rmax + GAUSSIAN_REACH * sigma feed g(r); the rest is below 1e-6."""

POINTS_PER_SIGMA = 4
"""Spacing of the r grid is sigma / 4, which keeps sS within 1e-3 kB of the integral."""

BINS_PER_STEP = 2
"""With bins of sigma / 8, sS of perfect crystals is within 2e-5 kB of the direct sum."""

TAPS = 24
"""Reach of the taps in steps of the r grid: six sigma."""

ATOMS_PER_CELL, LAYERS = 7.0, 4
"""Cells of the radial pass, where the reach is long (measured optimum)."""


@lru_cache(maxsize=64)
def gaussian_taps(sigma: float, step: float) -> np.ndarray:
    """B-spline coefficients of a normalised Gaussian, shape (2, 2 TAPS + 1), 1/Å.

    With b = step / 2, sum_j c(j b) B(x / b - j) is, for the cubic B-spline B, the Gaussian
    of width `sigma`, but for what the bins are too coarse to carry: c is the Gaussian
    divided by B in Fourier space, so that the error vanishes on average over the places in
    a bin.  Row 0 has c at whole steps, row 1 between them.
    """
    width = step / BINS_PER_STEP
    k = np.linspace(0, min(math.pi / width, 12 / sigma), 4001)
    spectrum = np.exp(-0.5 * (k * sigma) ** 2) / np.sinc(k * width / (2 * math.pi)) ** 4
    whole = np.arange(-TAPS, TAPS + 1) * step
    x = np.stack([whole, whole + width])
    return np.trapezoid(spectrum * np.cos(x[..., None] * k), k, axis=-1) / math.pi


def grid_of(sigma: float, rmax: float) -> tuple[float, int]:
    """Spacing (Å) and number of nodes of the r grid, which ends exactly at rmax."""
    n_grid = round(rmax * POINTS_PER_SIGMA / sigma) + 1
    return rmax / (n_grid - 1), n_grid


@njit(fastmath=FAST, **INNER)
def to_bins(squared: np.ndarray, index: np.ndarray, per_bin: float) -> None:
    """Bin of each distance and its place in the bin (0 to 1), which replaces the square.

    Single precision: 5e-7 Å at 8 Å, nothing beside sigma, and half the time.
    """
    for p in range(squared.shape[0]):
        u = math.sqrt(squared[p]) * per_bin
        k = np.int32(u)
        squared[p] = u - k
        index[p] = k


@njit(**INNER)
def add_moments(place: np.ndarray, index: np.ndarray, n: int, moments: np.ndarray) -> None:
    """Add 1, t, t^2, t^3 of `n` pairs to the moments of their bins."""
    for p in range(uint64(n)):
        t = place[p]
        bin_ = moments[uint64(index[p])]
        bin_[0] += 1.0
        bin_[1] += t
        bin_[2] += t * t
        bin_[3] += t * t * t


@njit(**INNER)
def pair_moments(
    found: Neighbourhood, width: float, moments: np.ndarray, want_nearest: bool
) -> float:
    """Add every pair within reach to `moments`; returns the smallest squared distance.

    Parameters
    ----------
    found : Neighbourhood
        With ``half``; its reach is that of the pairs, Å.
    width : float, Å
        Of a bin.
    moments : ndarray, shape (n_bins, 4), changed
        Number of pairs, and sums of t, t^2, t^3, per bin; n_bins * width >= reach.
    want_nearest : bool
        Whether to look for the smallest distance at all; infinite if not, or if no pair.
    """
    limit = found.reach**2
    per_bin = 1 / width
    nearest = math.inf
    for g in range(found.groups.shape[0]):
        m = gather(found, g)
        for k in range(found.groups[g, 1] - found.groups[g, 0]):
            count = squared_distances(found, k, k + 1, m, limit)
            squared, index = found.squared[:count], found.index[:count]
            if want_nearest:
                for p in range(count):
                    nearest = min(nearest, squared[p])
            to_bins(squared, index, per_bin)
            add_moments(squared, index, count, moments)
    return nearest


@njit(fastmath=FAST, **OUTER)
def pair_density(moments: np.ndarray, taps: np.ndarray, n_grid: int, out: np.ndarray) -> None:
    """Sum over ordered pairs of normalised Gaussians at r = k step, 1/Å, into `out` (n_grid).

    A pair below r = 0 is its own mirror image at -r, which the grid does not see.
    """
    n_bins = moments.shape[0]
    # Node j of the splines, at r = j bins, is entry (j % 2, j // 2 + TAPS + 1).
    nodes = np.zeros((2, max(n_bins // 2 + 3, n_grid + TAPS) + TAPS + 2))
    for k in range(uint64(n_bins)):
        m0, m1, m2, m3 = moments[k, 0], moments[k, 1], moments[k, 2], moments[k, 3]
        if m0 == 0.0:
            continue
        j = k + uint64(2 * TAPS + 1)
        nodes[j & ONE, j >> ONE] += (m0 - 3 * m1 + 3 * m2 - m3) / 6
        j += ONE
        nodes[j & ONE, j >> ONE] += (4 * m0 - 6 * m2 + 3 * m3) / 6
        j += ONE
        nodes[j & ONE, j >> ONE] += (m0 + 3 * m1 + 3 * m2 - 3 * m3) / 6
        j += ONE
        nodes[j & ONE, j >> ONE] += m3 / 6
    out[:] = 0.0
    for row in range(2):
        for k in range(2 * TAPS + 1):
            weight = 2 * taps[row, k]  # the pass met each pair once
            part = nodes[row, k + 1 : k + 1 + n_grid]
            for i in range(n_grid):
                out[i] += weight * part[i]


@njit(**INNER)
def entropy_integral(
    density: np.ndarray, step: float, n_atoms: float, n_others: float, volume: float
) -> float:
    """Pair entropy sS in kB (Eq. 6) of one pair density, trapezoid on r = k step.

    Parameters
    ----------
    density : ndarray, shape (n_grid,), 1/Å
        Sum of Gaussians over the ordered pairs of `n_atoms` atoms with `n_others` others.
    step : float, Å
    volume : float, Å^3

    Notes
    -----
    g = density / (4 pi n_atoms rho r^2) with rho = n_others / volume; the node r = 0
    contributes 0; where g < 1e-12 the integrand is r^2.
    """
    rho = n_others / volume
    scale = 1 / (4 * math.pi * n_atoms * rho)
    total = 0.0
    last = density.shape[0] - 1
    for k in range(1, last + 1):
        r2 = (k * step) ** 2
        g = density[k] * scale / r2
        value = r2 if g < 1e-12 else (g * math.log(g) - g + 1) * r2
        total += 0.5 * value if k == last else value
    return -2 * math.pi * rho * total * step
