"""Order around each atom: local q6 and sS, k nearest neighbours, their counts, distances.

Here every pair is met from both of its ends (``half=False``), so that an atom's whole
neighbourhood is at hand at once.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .bonds import N_Y6, OVERLAP, norm_q6, q6_of_sums, y6
from .candidates import closer, gather, squared_distances
from .images import INNER, OUTER, Neighbourhood, inverse, neighbourhood
from .kernels import (
    MIN_DISTANCE,
    N_ISOLATED,
    N_OVERLAPPING,
    Q6,
    Recipe,
    radial_reach,
)
from .radial import (
    BINS_PER_STEP,
    add_moments,
    entropy_integral,
    pair_density,
    to_bins,
)

CELLS = (5.0, 2)
"""Atoms per cell and layers: between those of the bond pass and the radial pass."""

CLOSE_CELLS = (4.0, 1)
"""The same where the reach is about one distance."""

MAX_GROWTHS = 60
"""How often the reach may grow by a quarter until every atom has its neighbours."""


@njit(**INNER)
def _around(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, reach: float
) -> Neighbourhood:
    """Neighbourhood with every pair from both ends."""
    inv = np.empty((3, 3))
    inverse(cell, inv)
    found, _, _ = neighbourhood(
        positions, cell, inv, pbc, reach, CELLS, False, np.empty(1), np.empty(1, dtype=np.int64)
    )
    return found


@njit(**INNER)
def _neighbours(found: Neighbourhood, k: int, m: int, nearest: int) -> tuple[int, int]:
    """Neighbours of candidate `k` to the front of ``found.index``, the nearest first.

    Returns their number (at most `nearest`, where that is not 0) and that of the atoms on
    the same place, which are none.
    """
    squared, index = found.squared, found.index
    kept = overlaps = 0
    for c in range(closer(found, k, 0, m, found.reach**2)):
        if index[c] == k:
            continue
        if squared[c] <= OVERLAP * OVERLAP:
            overlaps += 1
            continue
        squared[kept], index[kept] = squared[c], index[c]
        kept += 1
    wanted = min(nearest, kept) if nearest else kept
    for a in range(wanted if nearest else 0):  # partial selection sort: few of few dozen
        best = a
        for b in range(a + 1, kept):
            if squared[b] < squared[best]:
                best = b
        squared[a], squared[best] = squared[best], squared[a]
        index[a], index[best] = index[best], index[a]
    return wanted, overlaps


@njit(**INNER)
def _sums(
    found: Neighbourhood, nearest: int, sums: np.ndarray, n_bonds: np.ndarray
) -> tuple[int, int, float]:
    """Y_6m sums of each atom's own neighbours.

    Returns the smallest number of neighbours, the number of overlapping atoms and the
    smallest squared distance.
    """
    point = found.candidates.reshape(-1, 4)
    fewest, overlapping, smallest = np.int64(2**60), 0, math.inf
    for g in range(found.groups.shape[0]):
        m = gather(found, g)
        for k in range(found.groups[g, 1] - found.groups[g, 0]):
            i = int(point[k, 3])
            n_bonds[i], overlaps = _neighbours(found, k, m, nearest)
            fewest = min(fewest, n_bonds[i])
            if overlaps:
                overlapping += 1
                smallest = 0.0
            for c in range(n_bonds[i]):
                p = found.index[c]
                smallest = min(smallest, found.squared[c])
                terms = y6(
                    point[p, 0] - point[k, 0], point[p, 1] - point[k, 1],
                    point[p, 2] - point[k, 2], found.squared[c],
                )  # fmt: skip
                for q in range(N_Y6):
                    sums[i, q] += terms[q]
    return fewest, overlapping, smallest


@njit(**INNER)
def _nearest_sums(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, nearest: int, sums: np.ndarray,
    n_bonds: np.ndarray,
) -> tuple[int, float]:  # fmt: skip
    """:func:`_sums` of the nearest neighbours: the reach grows until all atoms have them."""
    n = positions.shape[0]
    open_ = not (pbc[0] or pbc[1] or pbc[2])
    wanted = min(nearest, n - 1) if open_ else nearest
    reach = 2.0 + 0.2 * nearest
    overlapping, smallest = 0, math.inf
    for _ in range(MAX_GROWTHS):
        sums[:] = 0.0
        found = _around(positions, cell, pbc, reach)
        fewest, overlapping, smallest = _sums(found, nearest, sums, n_bonds)
        if fewest >= wanted:
            break
        reach *= 1.25
    return overlapping, smallest


@njit(**OUTER)
def nearest_neighbours(
    offsets: np.ndarray, positions: np.ndarray, cells: np.ndarray, pbc: np.ndarray, nearest: int,
    mean: bool, out: np.ndarray,
) -> None:  # fmt: skip
    """Q6 of each atom's `nearest` neighbours for every frame into `out` (n_frames, N_OUT)."""
    for f in range(offsets.shape[0] - 1):
        n = offsets[f + 1] - offsets[f]
        sums, n_bonds = np.zeros((n, N_Y6)), np.zeros(n, dtype=np.int64)
        if n == 0:
            continue
        overlapping, smallest = _nearest_sums(
            positions[offsets[f] : offsets[f + 1]], cells[f], pbc[f], nearest, sums, n_bonds
        )
        out[f, Q6] = q6_of_sums(sums, n_bonds, mean)
        out[f, N_ISOLATED] = np.sum(n_bonds == 0)
        out[f, N_OVERLAPPING] = overlapping
        out[f, MIN_DISTANCE] = math.sqrt(smallest)


@njit(**OUTER)
def local_symmetry(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float, nearest: int
) -> tuple[np.ndarray, np.ndarray]:
    """q6 and number of neighbours of each atom, shape (n,) each.

    Neighbours are the atoms closer than `cutoff` (Å), or the `nearest` ones if that is not 0.
    """
    n = positions.shape[0]
    sums, n_bonds = np.zeros((n, N_Y6)), np.zeros(n, dtype=np.int64)
    if nearest:
        _nearest_sums(positions, cell, pbc, nearest, sums, n_bonds)
    else:
        _sums(_around(positions, cell, pbc, cutoff), 0, sums, n_bonds)
    q6 = np.zeros(n)
    for i in range(n):
        q6[i] = norm_q6(sums[i] / max(n_bonds[i], 1))
    return q6, n_bonds


@njit(**OUTER)
def local_entropies(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, recipe: Recipe, n_bins: int,
    volume: float,
) -> np.ndarray:  # fmt: skip
    """Eq. 6 with the g(r) around each atom, kB, shape (n,); `volume` of the frame in Å^3."""
    n = positions.shape[0]
    result = np.empty(n)
    reach = radial_reach(recipe.sigma, recipe.step, recipe.n_grid)
    found = _around(positions, cell, pbc, reach)
    moments = np.empty((n_bins, 4))
    pairs = np.empty(recipe.n_grid)
    for g in range(found.groups.shape[0]):
        m = gather(found, g)
        for k in range(found.groups[g, 1] - found.groups[g, 0]):
            count = squared_distances(found, k, 0, m, found.reach**2)
            squared, index = found.squared[:count], found.index[:count]
            to_bins(squared, index, BINS_PER_STEP / recipe.step)
            moments[:] = 0.0
            add_moments(squared, index, count, moments)
            moments[0, 0] -= 1.0  # the atom itself
            pair_density(moments, recipe.taps, recipe.n_grid, pairs)
            pairs *= 0.5  # of both orders of a pair only the one that starts here
            result[int(found.candidates[4 * k + 3])] = entropy_integral(
                pairs, recipe.step, 1, n, volume
            )
    return result


@njit(**OUTER)
def largest_counts(
    offsets: np.ndarray, positions: np.ndarray, kinds: np.ndarray, cells: np.ndarray,
    pbc: np.ndarray, reach: float, largest: np.ndarray,
) -> float:  # fmt: skip
    """Most neighbours of each kind that any atom of any frame has; returns the least distance.

    Parameters
    ----------
    offsets, positions, cells, pbc : of a ragged set of frames, every cell invertible
    kinds : ndarray, shape (n_atoms_total,), int64, at least 0
        Those from ``len(largest)`` on are not counted.
    reach : float, Å
        Periodic images count, the atom's own included.
    largest : ndarray, shape (n_kinds,), int64, changed

    Returns
    -------
    float
        Å; infinite where no pair is within reach.
    """
    n_kinds = largest.shape[0]
    counts = np.zeros(n_kinds, dtype=np.int64)
    smallest = math.inf
    for f in range(offsets.shape[0] - 1):
        a = offsets[f]
        found = _around(positions[a : offsets[f + 1]], cells[f], pbc[f], reach)
        point, index = found.candidates, found.index
        for g in range(found.groups.shape[0]):
            m = gather(found, g)
            for k in range(found.groups[g, 1] - found.groups[g, 0]):
                counts[:] = 0
                for c in range(closer(found, k, 0, m, reach * reach)):
                    if index[c] == k:
                        continue
                    smallest = min(smallest, found.squared[c])
                    kind = kinds[a + int(point[4 * index[c] + 3])]
                    if kind < n_kinds:
                        counts[kind] += 1
                for q in range(n_kinds):
                    largest[q] = max(largest[q], counts[q])
    return math.sqrt(smallest)


@njit(**OUTER)
def closeness(
    offsets: np.ndarray, positions: np.ndarray, kinds: np.ndarray, cells: np.ndarray,
    pbc: np.ndarray, smallest: np.ndarray, reach: float, out: np.ndarray,
) -> None:  # fmt: skip
    """Smallest ratio of a distance to the allowed one of its pair, per frame.

    Parameters
    ----------
    offsets, positions, cells, pbc : of a ragged set of frames, every cell invertible
    kinds : ndarray, shape (n_atoms_total,), int64
    smallest : ndarray, shape (n_kinds, n_kinds), Å
        Allowed distances.
    reach : float, Å
        Pairs farther apart are not seen.
    out : ndarray, shape (n_frames,), changed
        Infinite where no pair is within reach.
    """
    real, integer, inv = np.empty(1), np.empty(1, dtype=np.int64), np.empty((3, 3))
    for f in range(offsets.shape[0] - 1):
        a = offsets[f]
        inverse(cells[f], inv)
        found, real, integer = neighbourhood(
            positions[a : offsets[f + 1]],
            cells[f],
            inv,
            pbc[f],
            reach,
            CLOSE_CELLS,
            True,
            real,
            integer,
        )
        point, index = found.candidates, found.index
        best = math.inf
        for g in range(found.groups.shape[0]):
            m = gather(found, g)
            for k in range(found.groups[g, 1] - found.groups[g, 0]):
                for c in range(closer(found, k, k + 1, m, reach * reach)):
                    i = a + int(point[4 * k + 3])
                    j = a + int(point[4 * index[c] + 3])
                    best = min(best, math.sqrt(found.squared[c]) / smallest[kinds[i], kinds[j]])
        out[f] = best
