"""Selection in rounds, near-duplicates and group-aware splits."""

from .duplicates import near
from .rounds import Selection, run_rounds, select_rounds
from .split import SETS, kin, split_frames

__all__ = ["SETS", "Selection", "kin", "near", "run_rounds", "select_rounds", "split_frames"]
