"""Targets on the edges of the landscape box of the seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..landscape.grid import Box, bounding_box, coordinates
from ..settings import Generate


def make_targets(points: pd.DataFrame, settings: Generate) -> tuple[pd.DataFrame, Box]:
    """Evenly spaced targets on the four edges of the expanded box.

    Corners belong to one edge each, so no target is named twice.

    Returns
    -------
    DataFrame
        Columns target (0, 1, ...), edge, sS, Q6.
    Box
        Box of the seeds expanded by ``settings.box_margin``.
    """
    box = bounding_box(coordinates(points), settings.box_margin)
    n = settings.targets_per_edge
    steps = np.arange(n) / n
    (s0, s1), (q0, q1) = box.sS, box.Q6
    edges = {
        "low Q6": (s0 + (s1 - s0) * steps, np.full(n, q0)),
        "high sS": (np.full(n, s1), q0 + (q1 - q0) * steps),
        "high Q6": (s1 - (s1 - s0) * steps, np.full(n, q1)),
        "low sS": (np.full(n, s0), q1 - (q1 - q0) * steps),
    }
    rows = [
        {"edge": edge, "sS": sS, "Q6": Q6}
        for edge, (xs, ys) in edges.items()
        for sS, Q6 in zip(xs, ys, strict=True)
    ]
    targets = pd.DataFrame(rows)
    targets.insert(0, "target", range(len(rows)))
    return targets, box
