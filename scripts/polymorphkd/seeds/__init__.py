"""Seeds: the parents of the library, from prototypes and MD or from the user's files."""

from .collect import collect, read_user_seeds

__all__ = ["collect", "read_user_seeds"]

ALGORITHM_VERSION = 1
"""Of the melt-quench runs; raise it when they give other frames for the same settings."""
