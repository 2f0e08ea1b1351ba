"""Periodic images and cells: which atoms and images may lie within reach of each other.

One machinery serves large cells, cells much smaller than the reach (many images, the
atom's own included), triclinic and partly periodic cells alike:

1. atoms are wrapped, and their images within reach of the atoms become points of their own
   (`_place`).  With ``half`` only images of the lexicographically positive half-space are
   made, so that every pair is met once: home atoms i < j, and home atom with image;
2. atoms and images are sorted into cells, columns of which are contiguous in memory
   (`_sort`);
3. atoms are treated in groups, those of one cell: their candidates are copied into one
   contiguous scratch array (:mod:`.candidates`), over which the passes of :mod:`.radial`
   and :mod:`.bonds` run without a branch.  No neighbour list is ever stored.

Unsigned indices and flat arrays are no matter of taste here: they free numba from
wrap-around tests and strides, a factor of three in the inner loops.  Functions that only
compiled code calls (`INNER`) get no wrapper for Python, which halves the time to compile.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit, uint64

OUTER: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
"""Options of compiled functions that Python calls."""

INNER: dict[str, Any] = OUTER | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options of compiled functions that only compiled functions call."""

ZERO, ONE, TWO = np.int64(0), np.int64(1), np.int64(2)
"""Arguments for functions that need no compilation of their own for each literal number."""

FAST = {"contract", "reassoc", "nsz", "arcp", "afn"}
"""Fast-math flags of the inner loops; those that break NaN and infinity are not among them."""

PAD = 8
"""Points of room behind each run, which `candidates.gather` copies in whole blocks."""

ONE, FOUR = np.uint64(1), np.uint64(4)
X, Y, Z, OWNER = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)
"""A point is four numbers in a row: x, y, z (Å) and the atom it is, or is an image of."""


class Neighbourhood(NamedTuple):
    """Atoms and images of one frame, sorted into cells, and scratch for candidates.

    points : (4 n_points,) sorted atoms, then, from ``first_image[0]`` on, sorted images
    first_atom, first_image : where each cell begins: ``first[c + 1]`` to ``first[c + 2]``
    groups : (n_groups, 3) runs s to e of sorted atoms that share a cell of a column
    candidates : (4 n_points,) what `candidates.gather` found for a group
    squared, index : scratch for the candidates of one atom, Å^2 and positions
    box : (4,) origin of the cells and their edge, Å
    shape : (4,) cells along x and y, layers along z, layers per cell
    reach : float, Å
    half : whether each pair is met once (else from both of its ends)
    """

    points: np.ndarray
    first_atom: np.ndarray
    first_image: np.ndarray
    groups: np.ndarray
    candidates: np.ndarray
    squared: np.ndarray
    index: np.ndarray
    box: np.ndarray
    shape: np.ndarray
    reach: float
    half: bool


def complete_cells(cells: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Cells whose absent vectors (open directions) are unit vectors, so all are invertible.

    Parameters
    ----------
    cells : ndarray, shape (n, 3, 3), Å
    pbc : ndarray, shape (n, 3), bool
    """
    lengths = np.linalg.norm(cells, axis=2)
    todo = np.flatnonzero(((lengths < 1e-6) & ~pbc).any(axis=1))
    if len(todo):
        cells = cells.copy()
    for i in todo:
        absent = lengths[i] < 1e-6
        # Unit vectors orthogonal to those present: the null space of their rows.
        basis = np.linalg.svd(cells[i][~absent] if (~absent).any() else np.zeros((1, 3)))[2]
        cells[i][absent] = basis[3 - absent.sum() :]
    return cells


@njit(**OUTER)
def inverse(cell: np.ndarray, out: np.ndarray) -> float:
    """Inverse of a 3 x 3 matrix into `out`; returns the determinant."""
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        for c in range(3):
            d, e = (c + 1) % 3, (c + 2) % 3
            out[c, i] = cell[j, d] * cell[k, e] - cell[j, e] * cell[k, d]
    determinant = cell[0, 0] * out[0, 0] + cell[0, 1] * out[1, 0] + cell[0, 2] * out[2, 0]
    for i in range(3):
        for k in range(3):
            out[i, k] /= determinant
    return determinant


@njit(**INNER)
def _wrap(
    positions: np.ndarray, inv: np.ndarray, pbc: np.ndarray, reach: float,
    fractional: np.ndarray, window: np.ndarray,
) -> None:  # fmt: skip
    """Fractional coordinates in [0, 1] along periodic directions, and where images matter.

    `window` (3, 2) gets, per direction, the fractional bounds of the atoms widened by the
    reach: an image outside them is too far from every atom.
    """
    for k in range(3):
        low, high = math.inf, -math.inf
        for i in range(positions.shape[0]):
            f = (
                positions[i, 0] * inv[0, k]
                + positions[i, 1] * inv[1, k]
                + positions[i, 2] * inv[2, k]
            )
            if pbc[k]:
                f -= math.floor(f)
            fractional[i, k] = f
            low, high = min(low, f), max(high, f)
        # 1 / height of the cell along k is the norm of the k-th column of the inverse.
        pad = reach * math.sqrt(inv[0, k] ** 2 + inv[1, k] ** 2 + inv[2, k] ** 2) * (1 + 1e-12)
        window[k, 0], window[k, 1] = low - pad, high + pad
        if not pbc[k]:  # no image: any shift leaves the window
            window[k, 0], window[k, 1] = -math.inf, math.inf


@njit(**INNER)
def _span(fractional, window, pbc, j, k):  # type: ignore[no-untyped-def]
    """Image indices of atom `j` along `k` inside the window; the range holds 0."""
    if not pbc[k]:
        return 0, 0
    low = math.ceil(window[k, 0] - fractional[j, k])
    high = math.floor(window[k, 1] - fractional[j, k])
    return min(low, 0), max(high, 0)


@njit(**INNER)
def _count(fractional: np.ndarray, pbc: np.ndarray, window: np.ndarray, half: bool) -> int:
    """Number of atoms and images that `_place` will place."""
    total = fractional.shape[0]
    for j in range(fractional.shape[0]):
        low0, high0 = _span(fractional, window, pbc, j, ZERO)
        low1, high1 = _span(fractional, window, pbc, j, ONE)
        low2, high2 = _span(fractional, window, pbc, j, TWO)
        every = (high1 - low1 + 1) * (high2 - low2 + 1)
        if half:
            total += high0 * every + high1 * (high2 - low2 + 1) + high2
        else:
            total += (high0 - low0 + 1) * every - 1
    return total


@njit(**INNER)
def _place(
    fractional: np.ndarray, cell: np.ndarray, pbc: np.ndarray, window: np.ndarray, half: bool,
    placed: np.ndarray,
) -> None:  # fmt: skip
    """Cartesian atoms, then their images within the window, into `placed`."""
    n = fractional.shape[0]
    m = FOUR * uint64(n)
    for j in range(n):
        f0, f1, f2 = fractional[j, 0], fractional[j, 1], fractional[j, 2]
        x0 = f0 * cell[0, 0] + f1 * cell[1, 0] + f2 * cell[2, 0]
        y0 = f0 * cell[0, 1] + f1 * cell[1, 1] + f2 * cell[2, 1]
        z0 = f0 * cell[0, 2] + f1 * cell[1, 2] + f2 * cell[2, 2]
        p = FOUR * uint64(j)
        placed[p], placed[p + Y], placed[p + Z], placed[p + OWNER] = x0, y0, z0, j
        low0, high0 = _span(fractional, window, pbc, j, ZERO)
        low1, high1 = _span(fractional, window, pbc, j, ONE)
        low2, high2 = _span(fractional, window, pbc, j, TWO)
        for n0 in range(0 if half else low0, high0 + 1):
            for n1 in range(0 if half and n0 == 0 else low1, high1 + 1):
                sx = x0 + n0 * cell[0, 0] + n1 * cell[1, 0]
                sy = y0 + n0 * cell[0, 1] + n1 * cell[1, 1]
                sz = z0 + n0 * cell[0, 2] + n1 * cell[1, 2]
                home = n0 == 0 and n1 == 0
                for n2 in range(1 if half and home else low2, high2 + 1):
                    if home and n2 == 0:
                        continue
                    placed[m] = sx + n2 * cell[2, 0]
                    placed[m + Y] = sy + n2 * cell[2, 1]
                    placed[m + Z] = sz + n2 * cell[2, 2]
                    placed[m + OWNER] = j
                    m += FOUR


@njit(**INNER)
def _layout(
    placed: np.ndarray, n_points: int, reach: float, per_cell: float, box: np.ndarray,
    shape: np.ndarray,
) -> None:  # fmt: skip
    """Origin and edge of the cells into `box`, their number per direction into `shape`.

    A cell is as large as holds about `per_cell` atoms: with fewer a group does not pay for
    its gather, with more too many candidates are out of reach.  Mostly empty boxes get
    larger cells, so that their number stays proportional to that of the points.
    """
    volume = 1.0
    for k in range(3):
        low = high = placed[k]
        for p in range(uint64(n_points)):
            value = placed[FOUR * p + uint64(k)]
            low, high = min(low, value), max(high, value)
        box[k] = low
        shape[k] = 0
        # A sheet or a row of atoms has an extent across it, too.
        volume *= max(high - low, 0.3 * reach)
        box[3 + k] = high - low
    edge = (per_cell * volume / n_points) ** (1 / 3)
    edge = min(max(edge, 0.25 * reach), reach)
    layers = shape[3]
    while True:
        shape[0] = int(box[3] / edge) + 1
        shape[1] = int(box[4] / edge) + 1
        shape[2] = int(box[5] * layers / edge) + 1
        if float(shape[0]) * shape[1] * shape[2] <= 8.0 * n_points + 1024:
            break
        edge *= 1.3
    box[3] = edge


@njit(**INNER)
def _sort(
    placed: np.ndarray, a: int, b: int, box: np.ndarray, shape: np.ndarray, first: np.ndarray,
    place: np.ndarray, start: int, points: np.ndarray,
) -> None:  # fmt: skip
    """Counting sort of points a to b by cell into `points`, from position `start` on."""
    n_cells = uint64(shape[0] * shape[1] * shape[2])
    x0, y0, z0 = box[0], box[1], box[2]
    per_edge, per_layer = 1 / box[3], shape[3] / box[3]
    ny, nz = uint64(shape[1]), uint64(shape[2])
    for c in range(n_cells + ONE):
        first[c] = 0
    for p in range(uint64(a), uint64(b)):
        q = FOUR * p
        cx = uint64((placed[q] - x0) * per_edge)
        cy = uint64((placed[q + Y] - y0) * per_edge)
        c = (cx * ny + cy) * nz + uint64((placed[q + Z] - z0) * per_layer)
        place[p] = c
        first[c + ONE] += 1
    first[0] = start
    for c in range(n_cells):
        first[c + ONE] += first[c]
    first[n_cells + ONE] = start + b - a
    p = uint64(b)
    while p > uint64(a):  # backwards: the order inside a cell is that of the input
        p -= ONE
        c = uint64(place[p]) + ONE
        first[c] -= 1
        s, q = FOUR * uint64(first[c]), FOUR * p
        for k in range(FOUR):
            points[s + k] = placed[q + k]


@njit(**INNER)
def _group(first: np.ndarray, shape: np.ndarray, groups: np.ndarray) -> int:
    """Groups (s, e, column) of sorted atoms, one per occupied cell; returns their number."""
    n_groups = 0
    nz, layers = shape[2], shape[3]
    for column in range(shape[0] * shape[1]):
        base = column * nz + 1
        if first[base] == first[base + nz]:
            continue
        for low in range(0, nz, layers):
            s, e = first[base + low], first[base + min(low + layers, nz)]
            if e > s:
                groups[n_groups, 0], groups[n_groups, 1], groups[n_groups, 2] = s, e, column
                n_groups += 1
    return n_groups


@njit(**INNER)
def neighbourhood(
    positions: np.ndarray, cell: np.ndarray, inv: np.ndarray, pbc: np.ndarray, reach: float,
    cells: tuple[float, int], half: bool, real: np.ndarray, integer: np.ndarray,
) -> tuple[Neighbourhood, np.ndarray, np.ndarray]:  # fmt: skip
    """Sort the atoms of a frame and their images within `reach` into cells.

    Parameters
    ----------
    positions : ndarray, shape (n, 3), float64, Å
    cell, inv : ndarray, shape (3, 3), Å and 1/Å
        Invertible cell and its inverse.
    pbc : ndarray, shape (3,), bool
    reach : float, Å
    cells : (float, int)
        Wanted number of atoms in a cell, and layers of a cell along z, which bound more
        tightly what is gathered.
    half : bool
        Whether each pair is to be met once (else from both of its ends).
    real, integer : ndarray, float64 and int64
        Workspace; where it is too small a larger one is made.

    Returns
    -------
    Neighbourhood
        Views into the workspace.
    real, integer : ndarray
        The workspace used, to be handed in again.
    """
    n = positions.shape[0]
    head = 3 * n + 12
    if real.shape[0] < head:
        real = np.empty(2 * head)
    window = real[:6].reshape(3, 2)
    _wrap(positions, inv, pbc, reach, real[12:head].reshape(n, 3), window)
    m = _count(real[12:head].reshape(n, 3), pbc, window, half)
    total = m + 2 * PAD
    if real.shape[0] < head + 9 * total:
        old = real
        real = np.empty(((head + 9 * total) * 5) // 4)
        for p in range(head):
            real[p] = old[p]
    most_cells = 8 * m + 1026
    if integer.shape[0] < 4 + total + 2 * most_cells + 3 * n:
        integer = np.empty(((4 + total + 2 * most_cells + 3 * n) * 5) // 4, dtype=np.int64)
    placed, points = real[head : head + 4 * total], real[head + 4 * total : head + 8 * total]
    at = 4 + total
    place = integer[4:at]
    first_atom = integer[at : at + most_cells]
    first_image = integer[at + most_cells : at + 2 * most_cells]
    at += 2 * most_cells
    box, shape = real[6:12], integer[:4]
    shape[3] = cells[1]
    _place(real[12:head].reshape(n, 3), cell, pbc, real[:6].reshape(3, 2), half, placed)
    _layout(placed, m, reach, cells[0], box, shape)
    _sort(placed, ZERO, n, box, shape, first_atom, place, ZERO, points)
    _sort(placed, n, m, box, shape, first_image, place, n + PAD, points)
    groups = integer[at : at + 3 * n].reshape(n, 3)
    groups = groups[: _group(first_atom, shape, groups)]
    # What was placed is sorted now: its room is that of the candidates.
    found = Neighbourhood(
        points, first_atom, first_image, groups, placed,
        real[head + 8 * total : head + 9 * total], place, box, shape, reach, half,
    )  # fmt: skip
    return found, real, integer
