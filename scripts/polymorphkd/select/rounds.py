"""Grid down-sampling of a library: one frame per occupied cell and round (METHOD 3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..errors import StageError
from ..landscape.grid import (
    Box,
    bounding_box,
    cells,
    cells_by_resolution,
    coordinates,
    coverage,
    occupied,
)
from ..settings import Round, Select

COVERAGE_GRID = 20
"""Cells per axis of the coverage numbers that are reported."""


def representatives(xy: np.ndarray, index: np.ndarray, step: np.ndarray) -> np.ndarray:
    """One point per occupied cell: the nearest to the cell's centre, the first on a tie.

    Parameters
    ----------
    xy : ndarray, shape (n, 2)
        Coordinates in a frame where cell (i, j) spans [i, i + 1) x [j, j + 1) times `step`.
    index : ndarray, shape (n, 2), int
    step : ndarray, shape (2,)

    Returns
    -------
    ndarray, int
        Indices of the chosen points, sorted.
    """
    distance = np.linalg.norm(xy / step - (index + 0.5), axis=1)
    _, cell = np.unique(index, axis=0, return_inverse=True)
    order = np.lexsort((np.arange(len(xy)), distance, cell.ravel()))
    first = np.unique(cell.ravel()[order], return_index=True)[1]
    return np.sort(order[first])


def _finest_grid(xy: np.ndarray, box: Box, count: int) -> int:
    """Largest n for which an n x n grid over `box` has at most `count` occupied cells.

    The occupancy grows with n but for small dips; n is searched upwards and the search
    ends when the occupancy has clearly passed the wanted count.
    """
    best, n = 1, 1
    while n < 4096:
        found = occupied(cells(xy, box, n))
        if found <= count:
            best = n
        elif found > 1.1 * count + 10:
            break
        n += max(1, n // 50)
    return best


def _one_round(xy: np.ndarray, box: Box, settings: Round) -> tuple[np.ndarray, np.ndarray]:
    """Chosen points and the steps in sS and Q6; steps of zero where all points were taken."""
    if settings.resolution is not None:
        step = np.array(settings.resolution)
        return representatives(xy, cells_by_resolution(xy, settings.resolution), step), step
    assert settings.count is not None
    if len(xy) <= settings.count:
        return np.arange(len(xy)), np.zeros(2)
    n = _finest_grid(xy, box, settings.count)
    chosen = representatives(box.scaled(xy), cells(xy, box, n), np.full(2, 1 / n))
    return chosen, box.size / n


def select_rounds(
    points: pd.DataFrame, settings: Select
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Standard and supplementary frames of a library, coarse to fine and disjoint.

    Parameters
    ----------
    points : DataFrame
        Landscape points of the library, sorted by frame id.
    settings : Select

    Returns
    -------
    dict
        ``standard`` and ``supplementary``: indices into `points`, sorted.
    dict
        Steps, counts and coverage of each round for ``coverage.json``.

    Raises
    ------
    StageError
        A round finds no frame.
    """
    xy = coordinates(points)
    box = bounding_box(xy)
    taken = np.zeros(len(xy), dtype=bool)
    chosen: dict[str, np.ndarray] = {}
    report: dict[str, Any] = {
        "grid": COVERAGE_GRID,
        "box": {"sS": list(box.sS), "Q6": list(box.Q6)},
        "library": {"count": len(xy), **coverage(xy, box, COVERAGE_GRID)},
    }
    for name, round_settings in (
        ("standard", settings.standard),
        ("supplementary", settings.supplementary),
    ):
        free = np.flatnonzero(~taken)
        if not len(free):
            raise StageError(
                f"select.{name}: no frame is left to choose from ({len(xy)} in the library); "
                "generate more frames or ask for fewer"
            )
        index, step = _one_round(xy[free], box, round_settings)
        chosen[name] = free[index]
        taken[chosen[name]] = True
        report[name] = {
            "count": len(index),
            "step_sS": float(step[0]),
            "step_Q6": float(step[1]),
            **coverage(xy[chosen[name]], box, COVERAGE_GRID),
        }
    return chosen, report
