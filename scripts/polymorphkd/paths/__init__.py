"""Paths between two structures: over the landscape, and by an elastic band, to compare."""

from .alignment import Alignment, align, comparable, follow
from .band import Band, BandSettings, relax_band
from .profile import Profile, measure, trace
from .refine import Refinement, refine
from .search import Graph, Reach, make_graph, minimax_path
from .surface import Surface

__all__ = [
    "Alignment",
    "Band",
    "BandSettings",
    "Graph",
    "Profile",
    "Reach",
    "Refinement",
    "Surface",
    "align",
    "comparable",
    "follow",
    "make_graph",
    "measure",
    "minimax_path",
    "refine",
    "relax_band",
    "trace",
]
