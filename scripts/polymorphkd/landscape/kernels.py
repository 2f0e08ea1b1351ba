"""Numba kernels of the landscape: one pass over the pairs of a frame.

Every pair of atoms is met once: the images of the half-space n > 0 (lexicographic) with
all ordered pairs, and the home image with i < j.  This treats large cells, cells much
smaller than the cutoff (many images, an atom's own included), triclinic and partly
periodic cells alike.  Y_6m is even, so one bond serves both of its ends.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

N_Y6 = 13
"""Real components of q_6m: m = 0, then real and imaginary parts of m = 1 to 6."""

GAUSSIAN_REACH = 5.0
"""Pairs out to rmax + GAUSSIAN_REACH * sigma feed g(r); the rest is below 1e-6."""

# Orthonormal Y_6m without the Condon-Shortley sign, which drops out of Q6.
_C0 = math.sqrt(13 / math.pi) / 32
_C1 = math.sqrt(273 / (2 * math.pi)) / 16
_C2 = math.sqrt(1365 / math.pi) / 64
_C3 = math.sqrt(1365 / math.pi) / 32
_C4 = 3 * math.sqrt(91 / (2 * math.pi)) / 32
_C5 = 3 * math.sqrt(1001 / math.pi) / 32
_C6 = math.sqrt(3003 / math.pi) / 64


@njit(cache=True)
def _y6(x: float, y: float, z: float, out: np.ndarray) -> None:
    """Components of Y_6m at the unit vector (x, y, z) as polynomials, into `out` (13)."""
    z2 = z * z
    out[0] = _C0 * (((231 * z2 - 315) * z2 + 105) * z2 - 5)
    a, b = x, y  # real and imaginary part of (x + iy)^m
    f = _C1 * z * ((33 * z2 - 30) * z2 + 5)
    out[1], out[2] = f * a, f * b
    a, b = a * x - b * y, a * y + b * x
    f = _C2 * ((33 * z2 - 18) * z2 + 1)
    out[3], out[4] = f * a, f * b
    a, b = a * x - b * y, a * y + b * x
    f = _C3 * z * (11 * z2 - 3)
    out[5], out[6] = f * a, f * b
    a, b = a * x - b * y, a * y + b * x
    f = _C4 * (11 * z2 - 1)
    out[7], out[8] = f * a, f * b
    a, b = a * x - b * y, a * y + b * x
    f = _C5 * z
    out[9], out[10] = f * a, f * b
    a, b = a * x - b * y, a * y + b * x
    out[11], out[12] = _C6 * a, _C6 * b


@njit(cache=True)
def _norm_q6(q: np.ndarray) -> float:
    """Steinhardt norm sqrt(4 pi / 13 sum_m |q_6m|^2) of 13 real components (Eq. 3)."""
    total = q[0] * q[0]
    for k in range(1, N_Y6):
        total += 2 * q[k] * q[k]  # m and -m
    return math.sqrt(4 * math.pi / 13 * total)


@njit(cache=True)
def wrap(positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Positions moved into the cell along periodic directions; shape (n, 3), Å.

    `cell` must be invertible: open directions carry unit vectors where the cell has none.
    """
    fractional = positions @ np.linalg.inv(cell)
    for i in range(fractional.shape[0]):
        for k in range(3):
            if pbc[k]:
                fractional[i, k] -= math.floor(fractional[i, k])
    return fractional @ cell


@njit(cache=True)
def image_ranges(cell: np.ndarray, pbc: np.ndarray, reach: float) -> np.ndarray:
    """Largest image index along each cell vector within `reach`, for wrapped positions."""
    ranges = np.zeros(3, dtype=np.int64)
    inverse = np.linalg.inv(cell)
    for k in range(3):
        if pbc[k]:
            # 1/height of the cell along k is the norm of the k-th column of the inverse.
            ranges[k] = 1 + math.floor(reach * math.sqrt(np.sum(inverse[:, k] ** 2)))
    return ranges


@njit(cache=True)
def _bond(
    d: float, dx: float, dy: float, dz: float, i: int, j: int, y: np.ndarray,
    q: np.ndarray, n_bonds: np.ndarray,
) -> None:  # fmt: skip
    _y6(dx / d, dy / d, dz / d, y)
    for k in range(N_Y6):
        q[i, k] += y[k]
        q[j, k] += y[k]
    n_bonds[i] += 1
    n_bonds[j] += 1


@njit(cache=True)
def _smear(d: float, sigma: float, step: float, weights: np.ndarray) -> None:
    """Add two ordered pairs at distance `d` as a normalised Gaussian on the r grid."""
    low = max(0, math.ceil((d - GAUSSIAN_REACH * sigma) / step))
    high = min(weights.shape[0] - 1, math.floor((d + GAUSSIAN_REACH * sigma) / step))
    amplitude = 2 / (math.sqrt(2 * math.pi) * sigma)
    for k in range(low, high + 1):
        u = (k * step - d) / sigma
        weights[k] += amplitude * math.exp(-0.5 * u * u)


@njit(cache=True)
def pair_pass(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray,
    cutoff: float, sigma: float, step: float, weights: np.ndarray, q: np.ndarray,
    n_bonds: np.ndarray,
) -> float:  # fmt: skip
    """Accumulate pair weights on the r grid and bond sums of Y_6m.

    Parameters
    ----------
    positions : ndarray, shape (n, 3), Å, wrapped
    cell : ndarray, shape (3, 3), Å, invertible
    pbc : ndarray, shape (3,), bool
    cutoff : float, Å
        Bonds of Q6 are shorter than this.
    sigma, step : float, Å
        Width of the Gaussians and spacing of the r grid.
    weights : ndarray, shape (n_grid,), 1/Å, changed
        Sum over ordered pairs of normalised Gaussians at r = k step; empty for none.
    q : ndarray, shape (n, 13), changed
        Sums of the Y_6m components over the bonds of each atom.
    n_bonds : ndarray, shape (n,), int64, changed

    Returns
    -------
    float
        Smallest pair distance within reach, Å; infinite if there is no pair.
    """
    n = positions.shape[0]
    n_grid = weights.shape[0]
    reach = cutoff
    if n_grid:
        reach = max(cutoff, (n_grid - 1) * step + GAUSSIAN_REACH * sigma)
    ranges = image_ranges(cell, pbc, reach)
    y = np.empty(N_Y6)
    nearest = math.inf
    for n0 in range(0, ranges[0] + 1):
        for n1 in range(-ranges[1] if n0 else 0, ranges[1] + 1):
            for n2 in range(-ranges[2] if (n0 or n1) else 0, ranges[2] + 1):
                home = n0 == 0 and n1 == 0 and n2 == 0
                sx = n0 * cell[0, 0] + n1 * cell[1, 0] + n2 * cell[2, 0]
                sy = n0 * cell[0, 1] + n1 * cell[1, 1] + n2 * cell[2, 1]
                sz = n0 * cell[0, 2] + n1 * cell[1, 2] + n2 * cell[2, 2]
                for i in range(n):
                    ox = sx - positions[i, 0]
                    oy = sy - positions[i, 1]
                    oz = sz - positions[i, 2]
                    for j in range(i + 1 if home else 0, n):
                        dx = positions[j, 0] + ox
                        dy = positions[j, 1] + oy
                        dz = positions[j, 2] + oz
                        d2 = dx * dx + dy * dy + dz * dz
                        if d2 >= reach * reach:
                            continue
                        d = math.sqrt(d2)
                        nearest = min(nearest, d)
                        if n_grid:
                            _smear(d, sigma, step, weights)
                        if 0.0 < d < cutoff:
                            _bond(d, dx, dy, dz, i, j, y, q, n_bonds)
    return nearest


@njit(cache=True)
def entropy_integral(weights: np.ndarray, n_atoms: int, volume: float, step: float) -> float:
    """Pair entropy sS in kB per atom (Eqs. 6 and 7), trapezoid on r = k step.

    The node r = 0 contributes 0; where g < 1e-12 the integrand is r^2.
    """
    density = n_atoms / volume
    total = 0.0
    last = weights.shape[0] - 1
    for k in range(1, last + 1):
        r2 = (k * step) ** 2
        g = weights[k] / (4 * math.pi * n_atoms * density * r2)
        integrand = r2 if g < 1e-12 else (g * math.log(g) - g + 1) * r2
        total += 0.5 * integrand if k == last else integrand
    return -2 * math.pi * density * total * step


@njit(cache=True)
def steinhardt(q: np.ndarray, n_bonds: np.ndarray, mean: bool) -> float:
    """Q6 from bond sums: norm of the atom-averaged q_6m, or mean of the local norms.

    An atom without a bond contributes q = 0 and stays in N.
    """
    n = q.shape[0]
    average = np.zeros(N_Y6)
    local = 0.0
    one = np.empty(N_Y6)
    for i in range(n):
        if n_bonds[i] == 0:
            continue
        for k in range(N_Y6):
            one[k] = q[i, k] / n_bonds[i]
            average[k] += one[k] / n
        if mean:
            local += _norm_q6(one) / n
    return local if mean else _norm_q6(average)


@njit(cache=True)
def map_frames(
    offsets: np.ndarray, positions: np.ndarray, cells: np.ndarray, pbc: np.ndarray,
    cutoff: float, sigma: float, step: float, n_grid: int, mean: bool, out: np.ndarray,
) -> None:  # fmt: skip
    """sS, Q6, isolated atoms and smallest distance of every frame into `out` (n_frames, 4).

    A frame that is not periodic in all directions has no volume: its sS is NaN here and
    becomes a missing value with a reason in :func:`polymorphkd.landscape.points`.
    """
    for f in range(offsets.shape[0] - 1):
        a, b = offsets[f], offsets[f + 1]
        n = b - a
        cell = cells[f].copy()
        periodic = pbc[f]
        bulk = periodic[0] and periodic[1] and periodic[2]
        for k in range(3):
            if not periodic[k] and np.sum(cell[k] ** 2) < 1e-12:
                cell[k] = _open_axis(cell, k)
        wrapped = wrap(positions[a:b], cell, periodic)
        weights = np.zeros(n_grid if bulk else 0)
        q = np.zeros((n, N_Y6))
        n_bonds = np.zeros(n, dtype=np.int64)
        nearest = pair_pass(wrapped, cell, periodic, cutoff, sigma, step, weights, q, n_bonds)
        out[f, 0] = math.nan
        if bulk:
            out[f, 0] = entropy_integral(weights, n, abs(np.linalg.det(cell)), step)
        out[f, 1] = steinhardt(q, n_bonds, mean)
        out[f, 2] = np.sum(n_bonds == 0)
        out[f, 3] = nearest


@njit(cache=True)
def _open_axis(cell: np.ndarray, k: int) -> np.ndarray:
    """Unit vector that completes a cell whose open direction `k` has no vector."""
    u, v = cell[(k + 1) % 3], cell[(k + 2) % 3]
    normal = np.cross(u, v)
    length = math.sqrt(np.sum(normal**2))
    if length > 1e-12:
        return normal / length
    axis = np.zeros(3)
    # With two or three vectors absent, take the first axis that none of the others uses.
    for c in range(3):
        if abs(u[c]) + abs(v[c]) < 1e-12:
            axis[c] = 1.0
            return axis
    axis[k] = 1.0
    return axis


@njit(cache=True)
def minimum_distances(
    positions: np.ndarray, kinds: np.ndarray, cell: np.ndarray, pbc: np.ndarray,
    reach: float, out: np.ndarray,
) -> None:  # fmt: skip
    """Smallest distance of each pair of kinds within `reach` into `out` (n_kinds, n_kinds)."""
    out[:] = math.inf
    wrapped = wrap(positions, cell, pbc)
    ranges = image_ranges(cell, pbc, reach)
    n = wrapped.shape[0]
    for n0 in range(0, ranges[0] + 1):
        for n1 in range(-ranges[1] if n0 else 0, ranges[1] + 1):
            for n2 in range(-ranges[2] if (n0 or n1) else 0, ranges[2] + 1):
                home = n0 == 0 and n1 == 0 and n2 == 0
                shift = n0 * cell[0] + n1 * cell[1] + n2 * cell[2]
                for i in range(n):
                    for j in range(i + 1 if home else 0, n):
                        d2 = 0.0
                        for c in range(3):
                            d2 += (wrapped[j, c] + shift[c] - wrapped[i, c]) ** 2
                        a, b = kinds[i], kinds[j]
                        if d2 < out[a, b] ** 2:
                            out[a, b] = out[b, a] = math.sqrt(d2)
