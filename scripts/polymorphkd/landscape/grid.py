"""Boxes, grids and occupancy on the landscape."""

from __future__ import annotations

from dataclasses import dataclass

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
            f"{first['note'] or 'atoms overlap'}); the grid needs fully periodic frames"
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


def coverage(xy: np.ndarray, box: Box, n: int) -> dict[str, float]:
    """Occupied share and evenness of an n x n grid over `box`.

    ``uniformity`` is the entropy of the occupancy over its largest value (1 is even).
    """
    _, counts = np.unique(cells(xy, box, n), axis=0, return_counts=True)
    share = counts / counts.sum()
    entropy = float(-(share * np.log(share)).sum())
    return {
        "cells": n * n,
        "occupied": len(counts),
        "fraction": len(counts) / (n * n),
        "uniformity": entropy / float(np.log(len(counts))) if len(counts) > 1 else 0.0,
    }
