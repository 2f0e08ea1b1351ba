"""Selection in rounds, coarse to fine and disjoint (METHOD 3), with its coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from ..errors import StageError
from ..landscape.coverage import measure
from ..landscape.grid import Box, bounding_box, coordinates, grid_over
from ..provenance import rng
from ..settings import Choice, Round, Select
from .baselines import MOST_CLUSTERS, direct_clusters, farthest_points
from .cells import by_count, by_resolution, first_of_each
from .duplicates import features

SIZE = {"count", "resolution"}
"""Keys of a round that say how many frames it takes."""

COVERAGE_GRID = 20
"""Cells per axis of the coverage numbers that are reported."""


@dataclass(frozen=True)
class Selection:
    """Which frames were chosen, and how they cover the landscape.

    Parameters
    ----------
    rounds : ndarray, shape (n_points,), int
        Round that chose each point, from 1; 0 if none did.
    rows : ndarray, int
        Chosen rows of the points, in the order of their frame ids.
    sets : list of str
        Set that each round belongs to.
    report : dict
        Plain data for ``coverage.json``; see docs/selection.md.
    """

    rounds: np.ndarray
    rows: np.ndarray
    sets: list[str]
    report: dict[str, Any]

    def of(self, name: str) -> np.ndarray:
        """Chosen rows of one set, in the order of their frame ids."""
        wanted = [k for k, each in enumerate(self.sets, start=1) if each == name]
        return self.rows[np.isin(self.rounds[self.rows], wanted)]


@dataclass
class _Pool:
    """Points that rounds choose from, in the order of their frame ids.

    Parameters
    ----------
    points : DataFrame
        Each frame once, all on the landscape.
    xy : ndarray, shape (n, 2)
    box : Box
    values : ndarray, shape (n,), or None
        What ``representative: lowest`` compares.
    choice : Choice
    seed, material
        Name the random streams.
    """

    points: pd.DataFrame
    xy: np.ndarray
    box: Box
    values: np.ndarray | None
    choice: Choice
    seed: int
    material: str

    def method(self, settings: Round) -> str:
        """How a round chooses."""
        return settings.method or self.choice.method

    def random(self, number: int) -> np.random.Generator:
        """Random stream of a round."""
        return rng(self.seed, self.material, "select", number)


def select_rounds(points: pd.DataFrame, settings: Select, seed: int, material: str) -> Selection:
    """Standard and supplementary frames of a library; see :func:`run_rounds`."""
    return run_rounds(points, settings.rounds, settings, seed, material)


def run_rounds(
    points: pd.DataFrame,
    rounds: Sequence[tuple[str, Round]],
    choice: Choice,
    seed: int = 1,
    material: str = "",
) -> Selection:
    """Choose frames in rounds, each among those that no round before it took.

    The result does not depend on the order of the points.  Points without sS or Q6 (see
    their ``note``) and frames that are listed twice are left out and counted.

    Parameters
    ----------
    points : DataFrame
        Landscape points; with the column ``choice.lowest_of`` where that is needed.
    rounds : sequence of (str, Round)
        Rounds in order, each with the name of the set that its frames join.
    choice : Choice
    seed, material
        Name the random streams.

    Raises
    ------
    StageError
        A round finds no frame, a setting asks for what the points cannot give, or points
        were made with different settings.
    """
    methods = {choice.method, *(one.method for _, one in rounds)}
    if "direct" in methods and "volume_per_atom" not in points:
        raise StageError("select.method: direct needs the column volume_per_atom of the points")
    order, left_out = _usable(points)
    usable = points.iloc[order]
    xy = coordinates(usable)
    values = _values(usable, choice)
    pool = _Pool(usable, xy, bounding_box(xy), values, choice, seed, material)
    taken, steps = _run(pool, rounds)
    marked = np.zeros(len(points), dtype=np.int64)
    marked[order] = taken
    report = {
        "method": choice.method,
        "representative": choice.representative,
        "grid": COVERAGE_GRID,
        "box": {"sS": list(pool.box.sS), "Q6": list(pool.box.Q6)},
        "left_out": left_out,
        **_coverage(pool, rounds, taken, steps),
    }
    return Selection(marked, order[taken > 0], [name for name, _ in rounds], report)


def _usable(points: pd.DataFrame) -> tuple[np.ndarray, dict[str, int]]:
    """Rows on the landscape in the order of their frame ids, each frame once."""
    there = np.isfinite(points[["sS", "Q6"]].to_numpy(dtype=float)).all(axis=1)
    if not there.any():
        note = points["note"].iloc[0] if "note" in points and len(points) else ""
        raise StageError(
            f"select: none of {len(points)} frames has sS and Q6"
            f"{f' (first: {note})' if note else ''}; the grid needs "
            "frames that are periodic in all directions, or landscape.density (--density)"
        )
    rows = np.flatnonzero(there)
    ids = points["frame_id"].iloc[rows].reset_index(drop=True)
    order = ids.argsort(kind="stable").to_numpy()
    ordered = ids.iloc[order]
    again = ordered.eq(ordered.shift()).to_numpy(dtype=bool, na_value=False)
    return rows[order[~again]], {
        "without_sS": len(points) - len(rows),
        "listed_twice": int(again.sum()),
    }


def _values(points: pd.DataFrame, choice: Choice) -> np.ndarray | None:
    """What ``representative: lowest`` compares, NaN where a frame has none."""
    if choice.representative != "lowest":
        return None
    name = choice.lowest_of
    if name not in points or not pd.api.types.is_numeric_dtype(points[name]):
        known = [str(key) for key in points if pd.api.types.is_numeric_dtype(points[key])]
        raise StageError(
            f"select.lowest_of: {name!r} is no column of numbers of the library; allowed is "
            f"{', '.join(known)}"
        )
    values = points[name].to_numpy(dtype=float, na_value=np.nan)
    if np.isnan(values).all():
        raise StageError(
            f"select.representative: lowest: no frame of the library has {name}; give a library "
            "with it, or choose centre or random"
        )
    return values


def _run(
    pool: _Pool, rounds: Sequence[tuple[str, Round]]
) -> tuple[np.ndarray, list[np.ndarray | None]]:
    """Round of every point of the pool (0: none), and the steps of each round's grid.

    Other methods take as many frames in each round as the grid does in its own run.
    """
    grid = ["grid"] * len(rounds)
    methods = [pool.method(settings) for _, settings in rounds]
    taken, steps = _in_turn(pool, rounds, grid)
    if methods == grid:
        return taken, steps
    return _in_turn(pool, rounds, methods, np.bincount(taken, minlength=len(rounds) + 1)[1:])


def _in_turn(
    pool: _Pool,
    rounds: Sequence[tuple[str, Round]],
    methods: Sequence[str],
    counts: np.ndarray | None = None,
) -> tuple[np.ndarray, list[np.ndarray | None]]:
    """Rounds after each other; methods other than the grid take `counts` frames."""
    taken = np.zeros(len(pool.xy), dtype=np.int64)
    steps: list[np.ndarray | None] = []
    for number, ((name, settings), method) in enumerate(
        zip(rounds, methods, strict=True), start=1
    ):
        free = np.flatnonzero(taken == 0)
        if not len(free):
            raise StageError(
                f"select.{name}: no frame is left to choose from in round {number} "
                f"({len(taken)} in the library); generate more frames or ask for fewer"
            )
        if counts is None or method == "grid":
            chosen, step = _by_grid(pool, free, settings, number)
        else:
            count = min(int(counts[number - 1]), len(free))
            chosen = _by_baseline(pool, free, np.flatnonzero(taken), count, number, method)
            step = None
        taken[free[chosen]] = number
        steps.append(step)
    return taken, steps


def _by_grid(
    pool: _Pool, free: np.ndarray, settings: Round, number: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Indices into `free` of one point per cell, and the steps of the grid (None: all points)."""
    xy = pool.xy[free]
    if settings.resolution is not None:
        step = np.array(settings.resolution)
        cell, distance = by_resolution(xy, settings.resolution)
    elif settings.count is not None and settings.count < len(xy):
        cell, distance, step = by_count(xy, pool.box, settings.count)
    else:
        return np.arange(len(free)), None
    return _representatives(pool, free, cell, distance, number), step


def _representatives(
    pool: _Pool, free: np.ndarray, group: np.ndarray, distance: np.ndarray, number: int
) -> np.ndarray:
    """One of the `free` points per group by the stated rule; ties go to the smaller id."""
    if pool.choice.representative == "random":
        return first_of_each(group, pool.random(number).random(len(group)))
    if pool.values is not None:
        return first_of_each(group, pool.values[free], distance)
    return first_of_each(group, distance)


def _by_baseline(
    pool: _Pool, free: np.ndarray, before: np.ndarray, count: int, number: int, method: str
) -> np.ndarray:
    """Indices into `free` of `count` points chosen by one of the other methods."""
    if count == len(free):
        return np.arange(count)
    if method == "random":
        return pool.random(number).choice(len(free), count, replace=False)
    if method == "farthest-point":
        scaled = pool.box.scaled(pool.xy)
        return farthest_points(scaled[free], count, scaled[before])
    if count > MOST_CLUSTERS:
        raise StageError(
            f"select.method: direct: {count:,} frames in round {number}; its clusters are merged "
            f"by all their distances, so {MOST_CLUSTERS:,} a round are allowed"
        )
    cluster, distance = direct_clusters(features(pool.points)[free], count)
    chosen = _representatives(pool, free, cluster, distance, number)
    # Equal points make fewer clusters than wanted; the rest are second members.
    rest = np.setdiff1d(np.arange(len(free)), chosen)
    return np.concatenate([chosen, rest[: count - len(chosen)]])


def _coverage(
    pool: _Pool,
    rounds: Sequence[tuple[str, Round]],
    taken: np.ndarray,
    steps: list[np.ndarray | None],
) -> dict[str, Any]:
    """Coverage of the library, of all frames after each round, and of each set."""
    grid = grid_over(pool.box, COVERAGE_GRID)
    scaled = pool.box.scaled(pool.xy)

    def numbers(mask: np.ndarray) -> dict[str, Any]:
        distance, _ = cKDTree(scaled[mask]).query(scaled)
        return {**measure(pool.xy[mask], grid), "covering_radius": float(distance.max())}

    entries = []
    for number, ((name, settings), step) in enumerate(zip(rounds, steps, strict=True), start=1):
        entries.append(
            {
                "round": number,
                "set": name,
                "method": pool.method(settings),
                "asked": settings.model_dump(mode="json", include=SIZE, exclude_none=True),
                "count": int((taken == number).sum()),
                "step": None if step is None else {"sS": float(step[0]), "Q6": float(step[1])},
                "so_far": numbers((taken > 0) & (taken <= number)),
            }
        )
    sets = {}
    for name in dict.fromkeys(name for name, _ in rounds):
        members = [k for k, (each, _) in enumerate(rounds, start=1) if each == name]
        sets[name] = numbers(np.isin(taken, members))
    return {"library": measure(pool.xy, grid), "rounds": entries, "sets": sets}
