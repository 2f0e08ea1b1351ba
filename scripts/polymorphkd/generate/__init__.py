"""PolymorphGen: directed mutation of seeds towards targets on the landscape."""

from .evolution import evolve, merge_library
from .targets import make_targets

__all__ = ["evolve", "make_targets", "merge_library"]
