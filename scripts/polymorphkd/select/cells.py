"""Grid cells of a million points: which cell each is in, how many there are, who stands for one.

A cell is one 64-bit code, so that points are grouped by one sort and counted by one hash
table instead of by rows of a two-dimensional array.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..errors import StageError
from ..landscape.grid import Box, cells, cells_by_resolution

MAX_PER_AXIS = 2**31 - 1
"""Cells per axis whose pairs of indices still fit one 64-bit code."""

FINEST = 2**22
"""Cells per axis at most where the grid is searched by count: 1/4,000,000 of the box."""

DIPS = 32
"""Finer grids tried beyond the first that exceeds a count: occupancy has small dips."""


def codes(index: np.ndarray) -> np.ndarray:
    """One integer per cell, equal for equal cells.

    Parameters
    ----------
    index : ndarray, shape (n, 2), int64
        Cell indices from :func:`~..landscape.grid.cells` and the like; n > 0.

    Returns
    -------
    ndarray, shape (n,), int64
    """
    i, j = (index - index.min(axis=0)).T
    return i * (int(j.max()) + 1) + j


def first_of_each(group: np.ndarray, *keys: np.ndarray) -> np.ndarray:
    """The element of each group that comes first by `keys`, then by its place.

    Parameters
    ----------
    group : ndarray, shape (n,), int
    keys : ndarrays, shape (n,)
        The first decides, the next where it ties; NaN comes last.

    Returns
    -------
    ndarray, int
        Indices, sorted; one per group.
    """
    order = np.lexsort((*reversed(keys), group))
    ordered = group[order]
    starts = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    return np.sort(order[starts])


def by_resolution(
    xy: np.ndarray, resolution: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Cell and distance to its centre of every point, on a grid of given steps.

    Parameters
    ----------
    xy : ndarray, shape (n, 2)
        sS (kB per atom) and Q6; n > 0.
    resolution : (float, float)
        Steps in sS and Q6; the grid is anchored at 0.

    Returns
    -------
    ndarray, shape (n,), int64
        Codes of the cells.
    ndarray, shape (n,), float64
        In units of the steps.

    Raises
    ------
    StageError
        A step so small that the cells cannot be counted.
    """
    step = np.asarray(resolution)
    if (np.abs(xy).max(axis=0) / step).max() > MAX_PER_AXIS / 2:
        raise StageError(
            f"select: resolution {step[0]:g} x {step[1]:g}: more than {MAX_PER_AXIS:,} cells "
            "along an axis; give larger steps"
        )
    index = cells_by_resolution(xy, resolution)
    return codes(index), np.linalg.norm(xy / step - (index + 0.5), axis=1)


def by_count(xy: np.ndarray, box: Box, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cell and distance to its centre on the n x n grid over `box` that gives `count` frames.

    Of the grids with at most `count` occupied cells this is the one with the most, among
    those up to shortly beyond the first that exceeds it.

    Parameters
    ----------
    xy : ndarray, shape (n, 2)
        Points in the box; n > 0.
    box : Box
    count : int

    Returns
    -------
    ndarray, shape (n,), int64
        Codes of the cells.
    ndarray, shape (n,), float64
        In units of the cell's edges.
    ndarray, shape (2,)
        Steps in sS (kB per atom) and Q6.
    """
    scaled = np.ascontiguousarray(box.scaled(xy))
    n = _finest(scaled, count)
    index = cells(xy, box, n)
    return codes(index), np.linalg.norm(scaled * n - (index + 0.5), axis=1), box.size / n


def _finest(scaled: np.ndarray, count: int) -> int:
    """Cells per axis for :func:`by_count`: doubled, halved in, and a look at what follows."""
    fits, exceeds = 1, 2
    while exceeds < FINEST and occupied_cells(scaled, exceeds, count) <= count:
        fits, exceeds = exceeds, 2 * exceeds
    if exceeds >= FINEST:
        return fits
    while exceeds - fits > 1:
        middle = (fits + exceeds) // 2
        if occupied_cells(scaled, middle, count) <= count:
            fits = middle
        else:
            exceeds = middle
    best, most = fits, occupied_cells(scaled, fits, count)
    for n in range(exceeds + 1, exceeds + 1 + DIPS):
        found = occupied_cells(scaled, n, count)
        if most < found <= count:
            best, most = n, found
    return best


def occupied_cells(scaled: np.ndarray, n: int, limit: int) -> int:
    """Occupied cells of an n x n grid, or `limit` + 1 as soon as there are more than `limit`.

    Parameters
    ----------
    scaled : ndarray, shape (n_points, 2), float64
        Coordinates in units of the box, 0 to 1.
    n : int
        At most `MAX_PER_AXIS`.
    limit : int
    """
    limit = min(limit, len(scaled))
    size = 1 << (4 * (limit + 1)).bit_length()  # a quarter full at most: short searches
    return int(_occupied(scaled, n, limit, np.full(size, -1, dtype=np.int64)))


@njit(cache=True)
def _occupied(scaled: np.ndarray, n: int, limit: int, table: np.ndarray) -> int:
    """Count into an open hash table of codes; `table` is a power of two long, all -1."""
    mask = len(table) - 1
    found = 0
    for k in range(len(scaled)):
        i = min(max(int(scaled[k, 0] * n), 0), n - 1)
        j = min(max(int(scaled[k, 1] * n), 0), n - 1)
        code = i * n + j
        mixed = code * -7046029254386353131  # 2^64 over the golden ratio spreads the codes
        slot = (mixed ^ (mixed >> 32)) & mask
        while table[slot] != -1 and table[slot] != code:
            slot = (slot + 1) & mask
        if table[slot] == -1:
            table[slot] = code
            found += 1
            if found > limit:
                return found
    return found
