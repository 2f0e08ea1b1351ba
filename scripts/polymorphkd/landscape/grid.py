"""Boxes, grids and occupancy on the landscape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import StageError


@dataclass(frozen=True)
class Box:
    """Rectangle on the landscape: sS in kB per atom, Q6 without unit."""

    sS: tuple[float, float]
    Q6: tuple[float, float]

    @property
    def low(self) -> np.ndarray:
        """Lower corner, shape (2,)."""
        return np.array([self.sS[0], self.Q6[0]])

    @property
    def size(self) -> np.ndarray:
        """Edges, shape (2,); an edge without extent counts as one unit of 1e-9."""
        return np.maximum(np.array([self.sS[1], self.Q6[1]]) - self.low, 1e-9)

    def scaled(self, xy: np.ndarray) -> np.ndarray:
        """Coordinates in units of the box, so that Q6 counts as much as sS."""
        return (np.asarray(xy) - self.low) / self.size


def coordinates(points: pd.DataFrame) -> np.ndarray:
    """(sS, Q6) of landscape points, shape (n, 2).

    Raises
    ------
    StageError
        Points made with different settings are mixed, or a point has no sS.
    """
    if points["settings_digest"].nunique() > 1:
        raise StageError(
            "landscape points made with different settings (definition, sigma, rmax, grid, "
            "cutoff) cannot be compared; map all frames again with one setting"
        )
    xy = points[["sS", "Q6"]].to_numpy(dtype=float)
    missing = np.flatnonzero(~np.isfinite(xy).all(axis=1))
    if len(missing):
        first = points.iloc[missing[0]]
        raise StageError(
            f"{len(missing)} frames have no sS (first: frame {first['frame_id']}: "
            f"{first['note'] or 'atoms overlap'}); the grid needs "
            "frames that are periodic in all directions, or landscape.density (--density)"
        )
    return xy


def bounding_box(xy: np.ndarray, margin: float = 0.0) -> Box:
    """Box around points, expanded by `margin` of its size; Q6 stays in [0, 1], sS <= 0."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    extra = (high - low) * margin / 2
    low, high = low - extra, high + extra
    return Box(
        (float(low[0]), float(min(high[0], 0.0))), (float(max(low[1], 0)), float(min(high[1], 1)))
    )


def cells(xy: np.ndarray, box: Box, n: int) -> np.ndarray:
    """Cell indices (n_points, 2) on an n x n grid over the box; the rim belongs to it."""
    return np.clip(np.floor(box.scaled(xy) * n), 0, n - 1).astype(np.int64)


def cells_by_resolution(xy: np.ndarray, resolution: tuple[float, float]) -> np.ndarray:
    """Cell indices (n_points, 2) on a grid with given steps in sS and Q6, anchored at 0."""
    return np.floor(np.asarray(xy) / np.asarray(resolution)).astype(np.int64)


def occupied(index: np.ndarray) -> int:
    """Number of distinct cells among cell indices, shape (n_points, 2)."""
    return len(np.unique(index, axis=0))


def occupancy(counts: np.ndarray, n_cells: int) -> dict[str, Any]:
    """Occupied share and evenness from the numbers of points in the occupied cells.

    ``uniformity`` is the entropy of the occupancy over its largest value, which is that
    of the same number of occupied cells with equal counts (1 is even).

    Parameters
    ----------
    counts : ndarray, shape (n_occupied,), int, above zero
    n_cells : int
        Cells of the whole grid.
    """
    return {
        "cells": n_cells,
        "occupied": len(counts),
        "fraction": len(counts) / n_cells,
        "uniformity": evenness(counts, len(counts)),
    }


def evenness(counts: np.ndarray, n_cells: int) -> float:
    """Entropy of the occupancy over the log of `n_cells`; 0 where there is one cell."""
    share = counts / counts.sum()
    entropy = max(0.0, float(-(share * np.log(share)).sum()))  # no minus zero
    return entropy / float(np.log(n_cells)) if n_cells > 1 else 0.0


def coverage(xy: np.ndarray, box: Box, n: int) -> dict[str, Any]:
    """Occupied share and evenness of an n x n grid over `box`; see :func:`occupancy`."""
    _, counts = np.unique(cells(xy, box, n), axis=0, return_counts=True)
    return occupancy(counts, n * n)


@dataclass(frozen=True)
class Grid:
    """Equal cells that span a box; see :func:`grid_over` and :func:`grid_by_resolution`.

    Parameters
    ----------
    box : Box
        What the cells span together.
    shape : (int, int)
        Cells along sS and Q6.
    resolution : (float, float), optional
        Steps in sS (kB per atom) and Q6 of a grid anchored at 0; `first` is then the
        index, counted from that anchor, of the cell that is (0, 0) here.
    first : (int, int)
    """

    box: Box
    shape: tuple[int, int]
    resolution: tuple[float, float] | None = None
    first: tuple[int, int] = (0, 0)

    @property
    def step(self) -> np.ndarray:
        """Edges of a cell, shape (2,)."""
        return self.box.size / self.shape

    def index(self, xy: np.ndarray) -> np.ndarray:
        """Cell indices of points in the box, shape (n_points, 2), int64."""
        if self.resolution is None:
            return cells(xy, self.box, self.shape[0])
        index = cells_by_resolution(xy, self.resolution) - self.first
        return np.clip(index, 0, np.array(self.shape) - 1)

    def counts(self, xy: np.ndarray) -> np.ndarray:
        """Points per cell, shape `shape`, int64."""
        i, j = self.index(xy).T
        flat = np.bincount(i * self.shape[1] + j, minlength=self.shape[0] * self.shape[1])
        return flat.reshape(self.shape)

    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres of the cells along sS and along Q6."""
        low, step = self.box.low, self.step
        sS, Q6 = (low[k] + step[k] * (np.arange(self.shape[k]) + 0.5) for k in (0, 1))
        return sS, Q6


def grid_over(box: Box, n: int) -> Grid:
    """n x n cells over `box`."""
    return Grid(box, (n, n))


def grid_by_resolution(box: Box, resolution: tuple[float, float]) -> Grid:
    """Cells with given steps in sS and Q6, anchored at 0, that cover `box`."""
    corners = np.array([[box.sS[0], box.Q6[0]], [box.sS[1], box.Q6[1]]])
    first, last = cells_by_resolution(corners, resolution)
    low, high = first * resolution, (last + 1) * resolution
    return Grid(
        Box((float(low[0]), float(high[0])), (float(low[1]), float(high[1]))),
        (int(last[0] - first[0] + 1), int(last[1] - first[1] + 1)),
        resolution,
        (int(first[0]), int(first[1])),
    )


def inside(xy: np.ndarray, box: Box) -> np.ndarray:
    """Which points lie in the box, its rim included, shape (n_points,), bool."""
    low, high = np.array([box.sS, box.Q6]).T
    return ((xy >= low) & (xy <= high)).all(axis=1)


def evenly(xy: np.ndarray, box: Box, count: int) -> np.ndarray:
    """At most `count` points, spread evenly over the landscape cells.

    The cells are so large that one point of every occupied cell fits (the one nearest to
    its centre); what is left is filled with second points, third points, and so on.

    Returns
    -------
    ndarray, int
        Indices of the chosen points, sorted.
    """
    if len(xy) <= count:
        return np.arange(len(xy))
    if count < 1:
        return np.zeros(0, dtype=np.int64)
    n = max(1, int(np.sqrt(count)))
    index = cells(xy, box, n)
    distance = np.linalg.norm(box.scaled(xy) * n - (index + 0.5), axis=1)
    cell = index[:, 0] * n + index[:, 1]
    order = np.lexsort((distance, cell))
    ordered = cell[order]
    start = np.searchsorted(ordered, ordered)  # where the cell of each point begins
    rank = np.arange(len(xy)) - start
    round_by_round = order[np.argsort(rank, kind="stable")]
    n_whole = int(np.bincount(rank).cumsum().searchsorted(count, side="right"))
    whole = int((rank < n_whole).sum())
    rest = round_by_round[whole : whole + int((rank == n_whole).sum())]
    # Of the round that does not fit as a whole, cells are taken at equal distances.
    picked = rest[np.linspace(0, len(rest) - 1, count - whole).round().astype(int)]
    return np.sort(np.concatenate([round_by_round[:whole], picked]))
