"""Candidates: what may lie within reach of a group of atoms, and which of it does.

The candidates of all atoms of a cell are gathered once, side by side, so that the search
among them is one straight loop per atom.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, uint64

from .images import FAST, FOUR, INNER, ZERO, Neighbourhood, Y, Z

LANES = 16
"""Points are copied in blocks of this many numbers, past the end of a run if need be."""


@njit(**INNER)
def _copy(points: np.ndarray, a: int, b: int, out: np.ndarray, m: int) -> int:
    """Append points a to b to scratch in whole blocks; returns its new length."""
    p, q, end = FOUR * uint64(a), FOUR * uint64(m), FOUR * uint64(b)
    while p < end:
        for k in range(uint64(LANES)):
            out[q + k] = points[p + k]
        p += uint64(LANES)
        q += uint64(LANES)
    return m + b - a


@njit(**INNER)
def gather(found: Neighbourhood, g: int) -> int:
    """Copy all that may be within reach of group `g` into ``found.candidates``.

    The atoms of the group come first, in order; with ``half``, atom k of the group has its
    candidates behind k.  Returns the number of candidates.
    """
    points, first_atom, first_image = found.points, found.first_atom, found.first_image
    out = found.candidates
    s, e, mine = found.groups[g, 0], found.groups[g, 1], found.groups[g, 2]
    reach, edge = found.reach * (1 + 1e-9), found.box[3]
    x0, y0, z0 = found.box[0], found.box[1], found.box[2]
    nx, ny, nz = found.shape[0], found.shape[1], found.shape[2]
    p = FOUR * uint64(s)
    low0, low1, low2 = points[p], points[p + Y], points[p + Z]
    high0, high1, high2 = low0, low1, low2
    for p in range(FOUR * uint64(s) + FOUR, FOUR * uint64(e), FOUR):
        low0, high0 = min(low0, points[p]), max(high0, points[p])
        low1, high1 = min(low1, points[p + Y]), max(high1, points[p + Y])
        low2, high2 = min(low2, points[p + Z]), max(high2, points[p + Z])
    m = _copy(points, s, e, out, ZERO)
    per_edge, per_layer = 1 / edge, found.shape[3] / edge
    cx_low = max(int((low0 - reach - x0) * per_edge), 0)
    cx_high = min(int((high0 + reach - x0) * per_edge), nx - 1)
    cy_low = max(int((low1 - reach - y0) * per_edge), 0)
    cy_high = min(int((high1 + reach - y0) * per_edge), ny - 1)
    for cx in range(cx_low, cx_high + 1):
        at = x0 + cx * edge
        gap = max(at - high0, low0 - at - edge, 0.0)
        left0 = reach * reach - gap * gap
        for cy in range(cy_low, cy_high + 1):
            at = y0 + cy * edge
            gap = max(at - high1, low1 - at - edge, 0.0)
            left = left0 - gap * gap
            if left <= 0.0:
                continue
            tall = math.sqrt(left)
            column = cx * ny + cy
            base = column * nz + 1
            a = uint64(base + max(int((low2 - tall - z0) * per_layer), 0))
            b = uint64(base + min(int((high2 + tall - z0) * per_layer), nz - 1) + 1)
            m = _copy(points, first_image[a], first_image[b], out, m)
            if column < mine and found.half:
                continue
            begin = first_atom[a]
            if column == mine:
                if not found.half:
                    m = _copy(points, begin, s, out, m)
                begin = e
            m = _copy(points, begin, first_atom[b], out, m)
    return m


@njit(forceinline=True, fastmath=FAST, **INNER)
def _closer(found: Neighbourhood, k: int, start: int, m: int, limit: float, indexed: bool) -> int:
    """Common loop of the two below; `indexed` is a constant there, and no test remains."""
    point, squared, index = found.candidates, found.squared, found.index
    q = FOUR * uint64(k)
    x, y, z = point[q], point[q + Y], point[q + Z]
    count = uint64(0)
    for p in range(uint64(start), uint64(m)):
        q = FOUR * p
        dx, dy, dz = point[q] - x, point[q + Y] - y, point[q + Z] - z
        d2 = dx * dx + dy * dy + dz * dz
        squared[count] = d2  # kept only if counted: no branch to mispredict
        if indexed:
            index[count] = p
        count += uint64(d2 < limit)
    return count


@njit(fastmath=FAST, **INNER)
def closer(found: Neighbourhood, k: int, start: int, m: int, limit: float) -> int:
    """Candidates `start` to `m` that are closer to candidate `k` than sqrt(limit).

    Their squared distances (Å^2) and positions come to the front of ``found.squared`` and
    ``found.index``; returns their number.
    """
    return _closer(found, k, start, m, limit, True)


@njit(fastmath=FAST, **INNER)
def squared_distances(found: Neighbourhood, k: int, start: int, m: int, limit: float) -> int:
    """As :func:`closer` without the positions, for which the radial pass has no use."""
    return _closer(found, k, start, m, limit, False)
