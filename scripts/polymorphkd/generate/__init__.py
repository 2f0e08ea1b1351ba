"""PolymorphGen: directed mutation of seeds towards targets on the landscape."""

from .evolution import Context, evolve, evolve_shard, merge_library, merge_outcomes
from .targets import make_targets

__all__ = [
    "Context",
    "evolve",
    "evolve_shard",
    "make_targets",
    "merge_library",
    "merge_outcomes",
]
