"""Coverage of landscape tables as numbers: what ``polymorphkd coverage`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError
from .landscape.coverage import common_box, compare, measure
from .landscape.grid import Box, Grid, grid_by_resolution, grid_over, inside
from .landscape.tables import PointSet

if TYPE_CHECKING:
    from rich.table import Table

GRID = 20
"""Cells per axis unless told otherwise; the number that the report uses as well."""

MAX_CELLS = 10_000_000
"""Cells of the largest grid; finer ones cost memory and tell nothing about a set."""


def make_box(low_high: Sequence[float]) -> Box:
    """Box from sS low, sS high, Q6 low, Q6 high."""
    s0, s1, q0, q1 = low_high
    if not (np.isfinite(low_high).all() and s0 < s1 and q0 < q1):
        raise InputError(
            f"{' '.join(f'{value:g}' for value in low_high)}: a box is SS0 SS1 Q0 Q1 with "
            "SS0 < SS1 (kB per atom) and Q0 < Q1"
        )
    return Box((s0, s1), (q0, q1))


def make_grid(box: Box, resolution: Sequence[float] | None, n: int | None) -> Grid:
    """Grid over `box` at a resolution (steps in sS and Q6, anchored at 0), or n x n.

    Raises
    ------
    InputError
        Steps or numbers of cells that give no grid, or more than `MAX_CELLS` cells.
    """
    if resolution is None:
        n = GRID if n is None else n
        if not 1 <= n * n <= MAX_CELLS:
            raise InputError(f"--grid {n}: allowed is 1 to {int(MAX_CELLS**0.5)} cells per axis")
        return grid_over(box, n)
    step_sS, step_Q6 = resolution
    if not (np.isfinite(resolution).all() and min(resolution) > 0):
        raise InputError(f"--resolution {step_sS:g} {step_Q6:g}: both steps must be above 0")
    if float(np.prod(np.ceil(box.size / resolution) + 1)) > MAX_CELLS:
        raise InputError(
            f"--resolution {step_sS:g} {step_Q6:g}: more than {MAX_CELLS:,} cells over a box of "
            f"{box.size[0]:.3g} kB per atom and {box.size[1]:.3g} in Q6; give larger steps"
        )
    return grid_by_resolution(box, (step_sS, step_Q6))


def coverage_report(
    sets: Sequence[PointSet],
    resolution: Sequence[float] | None = None,
    n: int | None = None,
    box: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Coverage of every set, and of each pair of sets, on one grid.

    Parameters
    ----------
    sets : sequence of PointSet
    resolution : (float, float), optional
        Steps in sS (kB per atom) and Q6, anchored at 0.
    n : int, optional
        Cells per axis instead of a resolution.
    box : four floats, optional
        sS low, sS high, Q6 low, Q6 high of the grid; else the box around all sets.  Points
        outside are left out and counted.

    Returns
    -------
    dict
        Plain data for JSON: ``settings_digest``, ``grid``, ``sets`` (see
        :func:`~.landscape.coverage.measure`) and ``pairs``
        (:func:`~.landscape.coverage.compare`).
    """
    outline = common_box([s.xy for s in sets]) if box is None else make_box(box)
    grid = make_grid(outline, resolution, n)
    kept = [s.xy[inside(s.xy, outline)] for s in sets]
    for points, xy in zip(sets, kept, strict=True):
        if not len(xy):
            raise InputError(f"{points.path}: none of its {len(points.xy)} points is in the box")
    return {
        "settings_digest": str(sets[0].points["settings_digest"].iloc[0]),
        "grid": {
            "box": {"sS": list(grid.box.sS), "Q6": list(grid.box.Q6)},
            "step": {"sS": float(grid.step[0]), "Q6": float(grid.step[1])},
            "cells": {"sS": grid.shape[0], "Q6": grid.shape[1]},
            "anchored_at_0": grid.resolution is not None,
        },
        "sets": [
            {
                "name": points.name,
                "file": str(points.path),
                "without_sS": points.n_missing,
                "outside_box": len(points.xy) - len(xy),
                **measure(xy, grid),
            }
            for points, xy in zip(sets, kept, strict=True)
        ],
        "pairs": [
            {"a": sets[i].name, "b": sets[j].name, **compare(kept[i], kept[j], grid)}
            for i, j in combinations(range(len(sets)), 2)
        ],
    }


def tables(report: dict[str, Any]) -> list[Table]:
    """The report as tables for the terminal: one of all sets, one of all pairs."""
    from rich.table import Table

    names = [entry["name"] for entry in report["sets"]]
    grid = report["grid"]
    title = (
        f"{grid['cells']['sS']} x {grid['cells']['Q6']} cells of {grid['step']['sS']:.4g} kB per "
        f"atom x {grid['step']['Q6']:.4g}"
    )
    numbers = Table("", *names, title=title, title_justify="left")
    columns = [_column(entry) for entry in report["sets"]]
    for name in columns[0]:
        numbers.add_row(name, *(column[name] for column in columns))
    result = [numbers]
    if report["pairs"]:
        pairs = Table(
            "A", "B", "only A", "only B", "both", "Jaccard", "A in B", "B in A",
            title="occupied cells (A in B: share of A that B covers)", title_justify="left",
        )  # fmt: skip
        for pair in report["pairs"]:
            pairs.add_row(
                pair["a"], pair["b"], *(f"{pair[key]:,}" for key in ("only_a", "only_b", "both")),
                f"{pair['jaccard']:.3f}",
                *(f"{100 * pair[key]:.1f} %" for key in ("a_covered_by_b", "b_covered_by_a")),
            )  # fmt: skip
        result.append(pairs)
    return result


def _column(entry: dict[str, Any]) -> dict[str, str]:
    """Name and text of every number of one set; rows that are nought everywhere stay."""
    gap = entry["largest_gap"]
    left_out = f"{entry['without_sS']:,} / {entry['outside_box']:,}"
    return {
        "points": f"{entry['points']:,}",
        "left out: no sS / off the box": left_out,
        "sS (kB per atom)": _range(entry["box"]["sS"], 3),
        "Q6": _range(entry["box"]["Q6"], 4),
        "cells occupied": _part(entry["occupied"], entry["cells"]),
        "hull area (kB per atom x Q6)": f"{entry['hull_area']:.4g}",
        "hull area, share of the box": f"{100 * entry['hull_share_of_box']:.1f} %",
        "uniformity, occupied cells": f"{entry['uniformity']:.3f}",
        "uniformity, cells in the hull": f"{entry['uniformity_in_hull']:.3f}",
        "gaps: empty cells in the hull": _part(entry["gap_cells"], entry["cells_in_hull"]),
        "largest gap: cells": f"{gap['cells']:,}" if gap else "-",
        "  around sS, Q6": f"{gap['centre']['sS']:.3f}, {gap['centre']['Q6']:.4f}" if gap else "-",
        "  spans sS": _range(gap["box"]["sS"], 3) if gap else "-",
        "  spans Q6": _range(gap["box"]["Q6"], 4) if gap else "-",
    }


def _range(low_high: Sequence[float], digits: int) -> str:
    low, high = low_high
    return f"{low:.{digits}f} to {high:.{digits}f}"


def _part(some: int, all_of_them: int) -> str:
    return f"{some:,} of {all_of_them:,} ({100 * some / all_of_them:.1f} %)"
