"""PolymorphGen: directed mutation of seeds over the landscape."""

from .breeder import Breeder, Context
from .library import merge_library, merge_outcomes, write_shard
from .strategies import run_task
from .targets import make_targets

__all__ = [
    "Breeder",
    "Context",
    "make_targets",
    "merge_library",
    "merge_outcomes",
    "run_task",
    "write_shard",
]
