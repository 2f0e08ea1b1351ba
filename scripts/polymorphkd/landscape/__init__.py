"""The entropy-symmetry landscape: pair entropy sS and Steinhardt Q6 of configurations."""

from .cutoff import auto_cutoff
from .mapping import (
    POINT_COLUMNS,
    Mapper,
    Point,
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
    "auto_cutoff",
    "per_atom",
    "points",
    "read_settings",
    "resolve",
    "settings_digest",
]
