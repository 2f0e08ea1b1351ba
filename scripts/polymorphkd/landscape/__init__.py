"""The entropy-symmetry landscape: pair entropy sS and Steinhardt Q6 of configurations."""

from .cutoff import auto_cutoff
from .mapping import (
    POINT_COLUMNS,
    Mapper,
    Point,
    atom_points,
    per_atom,
    points,
    read_settings,
    resolve,
    settings_digest,
)

__all__ = [
    "POINT_COLUMNS",
    "Mapper",
    "Point",
    "atom_points",
    "auto_cutoff",
    "per_atom",
    "points",
    "read_settings",
    "resolve",
    "settings_digest",
]
