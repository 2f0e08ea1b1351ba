"""Periodic images and cells: which atoms and images may lie within reach of each other.

One machinery serves large cells, cells much smaller than the reach (many images, the
atom's own included), triclinic and partly periodic cells alike:

1. atoms are wrapped, and their images within reach of the atoms become points of their own
   (`place_images`).  With ``half`` only images of the lexicographically positive half-space
   are made, so that every pair is met once: home atoms i < j, and home atom with image;
2. atoms and images are sorted into cells, columns of which are contiguous in memory
   (`sort_into_cells`);
3. atoms are treated in groups, those of one cell: their candidates are copied into one
   contiguous scratch array (`gather`), over which the passes of :mod:`.radial` and
   :mod:`.bonds` run without a branch.  No neighbour list is ever stored.

Unsigned indices and 1-d contiguous arrays are no matter of taste here: they free numba
from wrap-around tests and strides, a factor of three in the inner loops.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit, uint64

FAST = {"contract", "reassoc", "nsz", "arcp", "afn"}
"""Fast-math flags of the inner loops; those that break NaN and infinity are not among them."""

LANES = 8
"""Points are copied in blocks of this many, past the end of a run if need be."""

PAD = 16
"""Elements behind each array of points, room for such copies."""

LAYERS = 4
"""Layers per cell along z: finer bounds for what is gathered, at no cost."""


class Points(NamedTuple):
    """Coordinates in Å and the atom each point is (an image of), 1-d contiguous arrays."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    owner: np.ndarray


class Neighbourhood(NamedTuple):
    """Atoms and images of one frame, sorted into cells, and scratch for candidates.

    ``first_atom`` and ``first_image`` hold where each cell begins: cell c of the sorted
    points is ``first[c + 1]:first[c + 2]``.  A group (s, e, column, layer) is a run of
    sorted atoms s to e of one cell, whose last layer is `layer`.  ``squared`` (Å^2) and
    ``index`` are scratch for the candidates of one atom.
    """

    atoms: Points
    images: Points
    first_atom: np.ndarray
    first_image: np.ndarray
    groups: np.ndarray
    candidates: Points
    squared: np.ndarray
    index: np.ndarray
    origin: np.ndarray
    shape: np.ndarray
    edge: float
    reach: float
    half: bool


@njit(cache=True)
def inverse(cell: np.ndarray, out: np.ndarray) -> float:
    """Inverse of a 3 x 3 matrix into `out`; returns the determinant."""
    a, b, c = cell[0], cell[1], cell[2]
    out[0, 0] = b[1] * c[2] - b[2] * c[1]
    out[1, 0] = b[2] * c[0] - b[0] * c[2]
    out[2, 0] = b[0] * c[1] - b[1] * c[0]
    out[0, 1] = c[1] * a[2] - c[2] * a[1]
    out[1, 1] = c[2] * a[0] - c[0] * a[2]
    out[2, 1] = c[0] * a[1] - c[1] * a[0]
    out[0, 2] = a[1] * b[2] - a[2] * b[1]
    out[1, 2] = a[2] * b[0] - a[0] * b[2]
    out[2, 2] = a[0] * b[1] - a[1] * b[0]
    determinant = a[0] * out[0, 0] + a[1] * out[1, 0] + a[2] * out[2, 0]
    for i in range(3):
        for k in range(3):
            out[i, k] /= determinant
    return determinant


@njit(cache=True)
def complete_cell(cell: np.ndarray, pbc: np.ndarray, out: np.ndarray) -> None:
    """Copy of a cell whose absent vectors (open directions) are unit vectors, invertible."""
    for k in range(3):
        for c in range(3):
            out[k, c] = cell[k, c]
    for k in range(3):
        if pbc[k] or out[k, 0] ** 2 + out[k, 1] ** 2 + out[k, 2] ** 2 > 1e-12:
            continue
        u, v = out[(k + 1) % 3], out[(k + 2) % 3]
        normal = np.array(
            [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]
        )
        length = math.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
        if length < 1e-6:
            # Another vector is absent too: any axis that is not along those present.
            present = u if u[0] ** 2 + u[1] ** 2 + u[2] ** 2 > 1e-12 else v
            axis = 0
            for c in range(3):
                if abs(present[c]) < abs(present[axis]):
                    axis = c
            other = np.zeros(3)
            other[axis] = 1.0
            normal = np.array(
                [
                    present[1] * other[2] - present[2] * other[1],
                    present[2] * other[0] - present[0] * other[2],
                    present[0] * other[1] - present[1] * other[0],
                ]
            )
            length = math.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
            if length < 1e-6:
                normal[:] = 0.0
                normal[k] = length = 1.0
        out[k] = normal / length


@njit(cache=True, nogil=True, error_model="numpy")
def wrap(
    positions: np.ndarray, cell: np.ndarray, inv: np.ndarray, pbc: np.ndarray, reach: float,
    fractional: np.ndarray, window: np.ndarray,
) -> None:  # fmt: skip
    """Fractional coordinates in [0, 1] along periodic directions, and where images matter.

    `window` (3, 2) gets, per direction, the fractional bounds of the atoms widened by the
    reach: an image outside them is too far from every atom.
    """
    for k in range(3):
        window[k, 0] = math.inf
        window[k, 1] = -math.inf
    for i in range(positions.shape[0]):
        for k in range(3):
            f = (
                positions[i, 0] * inv[0, k]
                + positions[i, 1] * inv[1, k]
                + positions[i, 2] * inv[2, k]
            )
            if pbc[k]:
                f -= math.floor(f)
            fractional[i, k] = f
            window[k, 0] = min(window[k, 0], f)
            window[k, 1] = max(window[k, 1], f)
    for k in range(3):
        # 1 / height of the cell along k is the norm of the k-th column of the inverse.
        pad = reach * math.sqrt(inv[0, k] ** 2 + inv[1, k] ** 2 + inv[2, k] ** 2) * (1 + 1e-12)
        window[k, 0] -= pad
        window[k, 1] += pad


@njit(cache=True, nogil=True, error_model="numpy")
def count_images(fractional: np.ndarray, pbc: np.ndarray, window: np.ndarray, half: bool) -> int:
    """Number of atoms and images that `place_images` will place."""
    total = fractional.shape[0]
    for j in range(fractional.shape[0]):
        low0, high0 = _span(fractional[j, 0], pbc[0], window[0])
        low1, high1 = _span(fractional[j, 1], pbc[1], window[1])
        low2, high2 = _span(fractional[j, 2], pbc[2], window[2])
        every = (high1 - low1 + 1) * (high2 - low2 + 1)
        if half:
            total += high0 * every + high1 * (high2 - low2 + 1) + high2
        else:
            total += (high0 - low0 + 1) * every - 1
    return total


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _span(f, periodic, window):  # type: ignore[no-untyped-def]
    """Range of image indices of a fractional coordinate inside a window; holds 0."""
    if not periodic:
        return 0, 0
    return min(math.ceil(window[0] - f), 0), max(math.floor(window[1] - f), 0)


@njit(cache=True, nogil=True, error_model="numpy")
def place_images(
    fractional: np.ndarray, cell: np.ndarray, pbc: np.ndarray, window: np.ndarray, half: bool,
    points: Points,
) -> None:  # fmt: skip
    """Cartesian atoms, then their images within the window, into `points`."""
    x, y, z, owner = points
    n = fractional.shape[0]
    for j in range(n):
        f0, f1, f2 = fractional[j, 0], fractional[j, 1], fractional[j, 2]
        x[j] = f0 * cell[0, 0] + f1 * cell[1, 0] + f2 * cell[2, 0]
        y[j] = f0 * cell[0, 1] + f1 * cell[1, 1] + f2 * cell[2, 1]
        z[j] = f0 * cell[0, 2] + f1 * cell[1, 2] + f2 * cell[2, 2]
        owner[j] = j
    m = uint64(n)
    for j in range(n):
        low0, high0 = _span(fractional[j, 0], pbc[0], window[0])
        low1, high1 = _span(fractional[j, 1], pbc[1], window[1])
        low2, high2 = _span(fractional[j, 2], pbc[2], window[2])
        for n0 in range(0 if half else low0, high0 + 1):
            for n1 in range(0 if half and n0 == 0 else low1, high1 + 1):
                sx = x[j] + n0 * cell[0, 0] + n1 * cell[1, 0]
                sy = y[j] + n0 * cell[0, 1] + n1 * cell[1, 1]
                sz = z[j] + n0 * cell[0, 2] + n1 * cell[1, 2]
                home = n0 == 0 and n1 == 0
                for n2 in range(1 if half and home else low2, high2 + 1):
                    if home and n2 == 0:
                        continue
                    x[m] = sx + n2 * cell[2, 0]
                    y[m] = sy + n2 * cell[2, 1]
                    z[m] = sz + n2 * cell[2, 2]
                    owner[m] = j
                    m += uint64(1)


@njit(cache=True, nogil=True, error_model="numpy")
def _layout(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, reach: float, atoms_per_cell: float,
    origin: np.ndarray, shape: np.ndarray,
) -> float:  # fmt: skip
    """Edge of the cells; their origin and number per direction go to `origin` and `shape`.

    A cell is as large as holds about `atoms_per_cell`: with fewer a group does not pay for
    its gather, with more too many candidates are out of reach.  Mostly empty boxes get
    larger cells, so that their number stays proportional to that of the points.
    """
    low0, low1, low2 = x[0], y[0], z[0]
    high0, high1, high2 = x[0], y[0], z[0]
    for p in range(x.shape[0]):
        low0, high0 = min(low0, x[p]), max(high0, x[p])
        low1, high1 = min(low1, y[p]), max(high1, y[p])
        low2, high2 = min(low2, z[p]), max(high2, z[p])
    origin[0], origin[1], origin[2] = low0, low1, low2
    size0, size1, size2 = high0 - low0, high1 - low1, high2 - low2
    thin = 0.3 * reach  # a sheet or a row of atoms has an extent across it, too
    volume = max(size0, thin) * max(size1, thin) * max(size2, thin)
    edge = (atoms_per_cell * volume / x.shape[0]) ** (1 / 3)
    edge = min(max(edge, 0.25 * reach), reach)
    while True:
        shape[0] = int(size0 / edge) + 1
        shape[1] = int(size1 / edge) + 1
        shape[2] = int(size2 * LAYERS / edge) + 1
        if float(shape[0]) * shape[1] * shape[2] <= 8.0 * x.shape[0] + 1024:
            return edge
        edge *= 1.3


@njit(cache=True, nogil=True, error_model="numpy")
def _sort(
    points: Points, a: int, b: int, origin: np.ndarray, shape: np.ndarray, edge: float,
    first: np.ndarray, place: np.ndarray, out: Points,
) -> None:  # fmt: skip
    """Counting sort of points a to b by cell into `out`."""
    x, y, z, owner = points
    sx, sy, sz, sowner = out
    n_cells = shape[0] * shape[1] * shape[2]
    x0, y0, z0 = origin[0], origin[1], origin[2]
    per_edge, per_layer = 1 / edge, LAYERS / edge
    ny, nz = uint64(shape[1]), uint64(shape[2])
    one = uint64(1)
    first[: n_cells + 1] = 0
    first[n_cells + 1] = b - a
    for p in range(uint64(a), uint64(b)):
        cx = uint64((x[p] - x0) * per_edge)
        cy = uint64((y[p] - y0) * per_edge)
        c = (cx * ny + cy) * nz + uint64((z[p] - z0) * per_layer)
        place[p] = c
        first[c + one] += 1
    for c in range(uint64(n_cells)):
        first[c + one] += first[c]
    p = uint64(b)
    while p > uint64(a):  # backwards: the order inside a cell is that of the input
        p -= one
        c = uint64(place[p]) + one
        first[c] -= 1
        s = uint64(first[c])
        sx[s], sy[s], sz[s], sowner[s] = x[p], y[p], z[p], owner[p]


@njit(cache=True, nogil=True, error_model="numpy")
def _group(first: np.ndarray, shape: np.ndarray, groups: np.ndarray) -> int:
    """Groups (s, e, column, last layer) of sorted atoms, one per occupied cell."""
    n_groups = 0
    nz = shape[2]
    for column in range(shape[0] * shape[1]):
        base = column * nz + 1
        if first[base] == first[base + nz]:
            continue
        for low in range(0, nz, LAYERS):
            high = min(low + LAYERS, nz)
            s, e = first[base + low], first[base + high]
            if e > s:
                groups[n_groups, 0], groups[n_groups, 1] = s, e
                groups[n_groups, 2], groups[n_groups, 3] = column, high
                n_groups += 1
    return n_groups


@njit(cache=True, nogil=True, error_model="numpy")
def neighbourhood(
    positions: np.ndarray, cell: np.ndarray, inv: np.ndarray, pbc: np.ndarray, reach: float,
    atoms_per_cell: float, half: bool, real: np.ndarray, integer: np.ndarray,
) -> tuple[Neighbourhood, np.ndarray, np.ndarray]:  # fmt: skip
    """Sort the atoms of a frame and their images within `reach` into cells.

    Parameters
    ----------
    positions : ndarray, shape (n, 3), float64, Å
    cell, inv : ndarray, shape (3, 3), Å and 1/Å
        Invertible cell and its inverse.
    pbc : ndarray, shape (3,), bool
    reach : float, Å
    atoms_per_cell : float
        Wanted size of a group.
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
    if real.shape[0] < 3 * n + 12:
        real = np.empty(3 * n + 12)
    fractional = real[: 3 * n].reshape(n, 3)
    window = np.empty((3, 2))
    wrap(positions, cell, inv, pbc, reach, fractional, window)
    m = count_images(fractional, pbc, window, half)
    total = m + 2 * PAD
    most_cells = 8 * m + 1026
    if real.shape[0] < 3 * n + 9 * total:
        real = np.empty(3 * n + (9 * total * 5) // 4)
        fractional = real[: 3 * n].reshape(n, 3)
        wrap(positions, cell, inv, pbc, reach, fractional, window)
    if integer.shape[0] < 4 * total + 2 * most_cells + 4 * n:
        integer = np.empty(((4 * total + 2 * most_cells + 4 * n) * 5) // 4, dtype=np.int64)
    at = 3 * n
    placed = Points(
        real[at : at + m], real[at + total : at + total + m],
        real[at + 2 * total : at + 2 * total + m], integer[:m],
    )  # fmt: skip
    place_images(fractional, cell, pbc, window, half, placed)
    origin, shape = np.empty(3), np.empty(3, dtype=np.int64)
    edge = _layout(placed.x, placed.y, placed.z, reach, atoms_per_cell, origin, shape)
    n_cells = shape[0] * shape[1] * shape[2]
    at += 3 * total
    it = total
    atoms = Points(
        real[at : at + n + PAD], real[at + total : at + total + n + PAD],
        real[at + 2 * total : at + 2 * total + n + PAD], integer[it : it + n + PAD],
    )  # fmt: skip
    images = Points(
        real[at + n + PAD : at + total], real[at + total + n + PAD : at + 2 * total],
        real[at + 2 * total + n + PAD : at + 3 * total], integer[it + n + PAD : it + total],
    )  # fmt: skip
    at += 3 * total
    it += total
    candidates = Points(
        real[at : at + total], real[at + total : at + 2 * total],
        real[at + 2 * total : at + 3 * total], integer[it : it + total],
    )  # fmt: skip
    it += total
    place = integer[it : it + total]
    it += total
    first_atom = integer[it : it + n_cells + 2]
    it += most_cells
    first_image = integer[it : it + n_cells + 2]
    it += most_cells
    groups = integer[it : it + 4 * n].reshape(n, 4)
    _sort(placed, 0, n, origin, shape, edge, first_atom, place, atoms)
    _sort(placed, n, m, origin, shape, edge, first_image, place, images)
    groups = groups[: _group(first_atom, shape, groups)]
    found = Neighbourhood(
        atoms, images, first_atom, first_image, groups, candidates,
        real[3 * n : 3 * n + total], place, origin, shape, edge, reach, half,
    )  # fmt: skip
    return found, real, integer


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _copy(points, a, b, out, m, owners):  # type: ignore[no-untyped-def]
    """Append points a to b to scratch in whole blocks; returns its new length."""
    p, q, end = uint64(a), m, uint64(b)
    while p < end:
        for k in range(uint64(LANES)):
            out.x[q + k] = points.x[p + k]
        for k in range(uint64(LANES)):
            out.y[q + k] = points.y[p + k]
        for k in range(uint64(LANES)):
            out.z[q + k] = points.z[p + k]
        if owners:
            for k in range(uint64(LANES)):
                out.owner[q + k] = points.owner[p + k]
        p += uint64(LANES)
        q += uint64(LANES)
    return m + end - uint64(a)


@njit(cache=True, nogil=True, error_model="numpy")
def gather(found: Neighbourhood, g: int, owners: bool) -> int:
    """Copy all that may be within reach of group `g` into ``found.candidates``.

    The atoms of the group come first, in order; with ``half``, atom k of the group has its
    candidates behind k.  Returns the number of candidates.
    """
    atoms, images, out = found.atoms, found.images, found.candidates
    first_atom, first_image = found.first_atom, found.first_image
    s, e, mine = found.groups[g, 0], found.groups[g, 1], found.groups[g, 2]
    reach, edge = found.reach * (1 + 1e-9), found.edge
    nx, ny, nz = found.shape[0], found.shape[1], found.shape[2]
    x0, y0, z0 = found.origin[0], found.origin[1], found.origin[2]
    low0, low1, low2 = atoms.x[s], atoms.y[s], atoms.z[s]
    high0, high1, high2 = low0, low1, low2
    for p in range(s + 1, e):
        low0, high0 = min(low0, atoms.x[p]), max(high0, atoms.x[p])
        low1, high1 = min(low1, atoms.y[p]), max(high1, atoms.y[p])
        low2, high2 = min(low2, atoms.z[p]), max(high2, atoms.z[p])
    m = _copy(atoms, s, e, out, uint64(0), owners)
    per_edge, per_layer = 1 / edge, LAYERS / edge
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
            a = base + max(int((low2 - tall - z0) * per_layer), 0)
            b = base + min(int((high2 + tall - z0) * per_layer), nz - 1) + 1
            m = _copy(images, first_image[a], first_image[b], out, m, owners)
            if column > mine or (column != mine and not found.half):
                m = _copy(atoms, first_atom[a], first_atom[b], out, m, owners)
            elif column == mine:
                if not found.half:
                    m = _copy(atoms, first_atom[a], s, out, m, owners)
                m = _copy(atoms, e, first_atom[b], out, m, owners)
    return m
