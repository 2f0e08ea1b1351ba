"""Multi-resolution grid selection, near-duplicates and group-aware splits."""

from .duplicates import near
from .rounds import select_rounds
from .split import SETS, split_frames

__all__ = ["SETS", "near", "select_rounds", "split_frames"]
