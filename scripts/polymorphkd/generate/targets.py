"""Where the searches of a run are headed: the box, and one row per independent task."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..errors import ConfigError
from ..landscape.grid import Box, bounding_box, coordinates, inside
from ..settings import Generate

SMALLEST_BOX = (4.0, 0.02)
"""Extent in sS (kB per atom) and Q6 that a box around the seeds has at least."""


def make_targets(points: pd.DataFrame, settings: Generate) -> tuple[pd.DataFrame, Box]:
    """Tasks of one run, and the box in which they search.

    Strategy ``edges``: evenly spaced targets on the four edges of the box; corners belong to
    one edge each, so no target is named twice.  Other strategies: one row per island.

    Parameters
    ----------
    points : DataFrame
        Landscape points of the seeds.
    settings : Generate

    Returns
    -------
    DataFrame
        Columns target (0, 1, ...), edge, sS, Q6 (missing for islands).
    Box
        Box of the seeds expanded by ``settings.box_margin`` and at least `SMALLEST_BOX` in
        extent, or ``settings.box``.

    Raises
    ------
    ConfigError
        No seed lies in ``settings.box``.
    """
    xy = coordinates(points)
    box = _wide_enough(bounding_box(xy, settings.box_margin))
    if settings.box is not None:
        box = Box(settings.box.sS, settings.box.Q6)
        if not inside(xy, box).any():
            reach = bounding_box(xy)
            raise ConfigError(
                f"generate.box: none of the {len(xy)} seeds lies inside; they span sS "
                f"{reach.sS[0]:.3f} to {reach.sS[1]:.3f} kB and Q6 {reach.Q6[0]:.3f} to "
                f"{reach.Q6[1]:.3f}"
            )
    rows = _edges(box, settings.targets_per_edge)
    if settings.strategy != "edges":
        rows = [{"edge": "", "sS": np.nan, "Q6": np.nan} for _ in range(settings.islands)]
    targets = pd.DataFrame(rows)
    targets.insert(0, "target", range(len(rows)))
    return targets, box


def _wide_enough(box: Box) -> Box:
    """`box`, grown around its middle to `SMALLEST_BOX`: one seed alone spans nothing."""
    sides = []
    for (low, high), smallest, (least, most) in zip(
        (box.sS, box.Q6), SMALLEST_BOX, ((-np.inf, 0.0), (0.0, 1.0)), strict=True
    ):
        missing = max(smallest - (high - low), 0.0) / 2
        low, high = low - missing, high + missing
        shift = max(least - low, 0.0) - max(high - most, 0.0)  # kept as wide at a limit
        sides.append((float(low + shift), float(high + shift)))
    return Box(*sides)


def _edges(box: Box, n: int) -> list[dict[str, object]]:
    steps = np.arange(n) / n
    (s0, s1), (q0, q1) = box.sS, box.Q6
    edges = {
        "low Q6": (s0 + (s1 - s0) * steps, np.full(n, q0)),
        "high sS": (np.full(n, s1), q0 + (q1 - q0) * steps),
        "high Q6": (s1 - (s1 - s0) * steps, np.full(n, q1)),
        "low sS": (np.full(n, s0), q1 - (q1 - q0) * steps),
    }
    return [
        {"edge": edge, "sS": sS, "Q6": Q6}
        for edge, (xs, ys) in edges.items()
        for sS, Q6 in zip(xs, ys, strict=True)
    ]
