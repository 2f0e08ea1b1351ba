"""How a set of points fills the landscape: hull, evenness, gaps, and two sets compared."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import label
from scipy.spatial import ConvexHull, QhullError

from .grid import Box, Grid, bounding_box, evenness, occupancy

FLAT = 1e-9
"""Points that deviate less from one line, in units of their own box, have no hull area."""


class Hull:
    """Convex hull of points on the landscape.

    Parameters
    ----------
    xy : ndarray, shape (n, 2)

    Attributes
    ----------
    area : float
        In kB per atom times Q6; 0 for one point or points on one line.
    """

    def __init__(self, xy: np.ndarray) -> None:
        # In units of the points' own box, for sS spans a hundred times what Q6 does.
        self._box = bounding_box(xy)
        scaled = self._box.scaled(xy)
        self._lines = _sides(scaled)
        self.area = 0.0
        if self._lines is not None:
            hull = ConvexHull(scaled)
            self.area = float(hull.volume * np.prod(self._box.size))

    def contains(self, sS: np.ndarray, Q6: np.ndarray) -> np.ndarray:
        """Which nodes of a lattice lie in the hull, shape (len(sS), len(Q6)), bool.

        A hull without area holds no node.
        """
        if self._lines is None:
            return np.zeros((len(sS), len(Q6)), dtype=bool)
        x = (np.asarray(sS) - self._box.low[0]) / self._box.size[0]
        y = (np.asarray(Q6) - self._box.low[1]) / self._box.size[1]
        low, high = np.full(len(x), -np.inf), np.full(len(x), np.inf)
        for a, b, c in self._lines:  # a x + b y + c <= 0 inside
            if abs(b) < 1e-12:
                high[a * x + c > 0] = -np.inf
            elif b > 0:
                high = np.minimum(high, -(a * x + c) / b)
            else:
                low = np.maximum(low, -(a * x + c) / b)
        return (y >= low[:, None]) & (y <= high[:, None])


def _sides(scaled: np.ndarray) -> np.ndarray | None:
    """Lines that bound the hull, shape (n_sides, 3), or None where the hull has no area."""
    if len(scaled) < 3 or np.linalg.matrix_rank(scaled - scaled.mean(axis=0), tol=FLAT) < 2:
        return None
    try:
        return ConvexHull(scaled).equations
    except QhullError:  # flat within the rounding of Qhull itself
        return None


def measure(xy: np.ndarray, grid: Grid) -> dict[str, Any]:
    """Coverage of one set on a grid, with its hull and gaps.

    Parameters
    ----------
    xy : ndarray, shape (n, 2)
        Points in the box of the grid; at least one.
    grid : Grid

    Returns
    -------
    dict
        ``points``, the ``box`` of the set, and what :func:`~.grid.occupancy` gives;
        ``hull_area`` (kB per atom times Q6) and ``hull_share_of_box`` (of the grid's box);
        ``cells_in_hull``: cells that are occupied or whose centre lies in the hull;
        ``uniformity_in_hull``: entropy of the occupancy over the log of these cells, so
        that empty cells count against it; ``gap_cells`` (the empty ones among them),
        ``gap_share`` (of the cells in the hull) and ``largest_gap`` (see
        :func:`largest_region`; None without a gap).
    """
    counts = grid.counts(xy)
    filled = counts > 0
    hull = Hull(xy)
    gaps = hull.contains(*grid.centres()) & ~filled
    n_gaps, n_filled = int(gaps.sum()), int(filled.sum())
    box = bounding_box(xy)
    return {
        "points": len(xy),
        "box": {"sS": list(box.sS), "Q6": list(box.Q6)},
        **occupancy(counts[filled], counts.size),
        "hull_area": hull.area,
        "hull_share_of_box": hull.area / float(np.prod(grid.box.size)),
        "cells_in_hull": n_filled + n_gaps,
        "uniformity_in_hull": evenness(counts[filled], n_filled + n_gaps),
        "gap_cells": n_gaps,
        "gap_share": n_gaps / (n_filled + n_gaps),
        "largest_gap": largest_region(gaps, grid),
    }


def largest_region(mask: np.ndarray, grid: Grid) -> dict[str, Any] | None:
    """Largest region of cells that share edges; of equal ones, that of lowest sS.

    Parameters
    ----------
    mask : ndarray, shape `grid.shape`, bool
    grid : Grid

    Returns
    -------
    dict or None
        ``cells``, ``area`` (kB per atom times Q6), ``centre`` (of the cell of the region
        that is nearest to its centroid, so that it never lies outside), and ``box``, the
        ranges in sS and Q6 that the region spans.  None where no cell is set.
    """
    labels, n_regions = label(mask)
    if not n_regions:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    cells = np.argwhere(labels == 1 + int(sizes.argmax()))
    nearest = cells[np.linalg.norm(cells - cells.mean(axis=0), axis=1).argmin()]
    centre = grid.box.low + (nearest + 0.5) * grid.step
    low = grid.box.low + cells.min(axis=0) * grid.step
    high = grid.box.low + (cells.max(axis=0) + 1) * grid.step
    return {
        "cells": len(cells),
        "area": float(len(cells) * np.prod(grid.step)),
        "centre": {"sS": float(centre[0]), "Q6": float(centre[1])},
        "box": {"sS": [float(low[0]), float(high[0])], "Q6": [float(low[1]), float(high[1])]},
    }


def compare(xy_a: np.ndarray, xy_b: np.ndarray, grid: Grid) -> dict[str, Any]:
    """Occupied cells of two sets on one grid.

    Returns
    -------
    dict
        ``only_a``, ``only_b``, ``both``: numbers of cells; ``jaccard``: both over any;
        ``a_covered_by_b``, ``b_covered_by_a``: shares of the occupied cells of the first
        that the second occupies too.
    """
    a, b = grid.counts(xy_a) > 0, grid.counts(xy_b) > 0
    both = int((a & b).sum())
    return {
        "only_a": int(a.sum()) - both,
        "only_b": int(b.sum()) - both,
        "both": both,
        "jaccard": both / int((a | b).sum()),
        "a_covered_by_b": both / int(a.sum()),
        "b_covered_by_a": both / int(b.sum()),
    }


def common_box(sets: list[np.ndarray]) -> Box:
    """Box around all points of several sets."""
    return bounding_box(np.concatenate(sets))
