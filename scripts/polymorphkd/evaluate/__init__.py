"""Errors of every model on held-out DFT frames, per component, per frame and per cell."""

from .cells import with_cells
from .compare import compare, force_table, frame_table
from .gather import distribution, gain, gather

__all__ = [
    "compare",
    "distribution",
    "force_table",
    "frame_table",
    "gain",
    "gather",
    "with_cells",
]
