"""The entropy-symmetry landscape: pair entropy sS and Steinhardt Q6 of configurations."""

from .mapping import (
    POINT_COLUMNS,
    auto_cutoff,
    points,
    read_settings,
    resolve,
    settings_digest,
)

__all__ = ["POINT_COLUMNS", "auto_cutoff", "points", "read_settings", "resolve", "settings_digest"]
