"""Scans of k-spacing and cutoff on three frames, and the errors that they show."""

from .errors import by_setting, errors, sentences
from .scan import FRAMES, scan_engines, scan_frame, three_frames

__all__ = [
    "FRAMES",
    "by_setting",
    "errors",
    "scan_engines",
    "scan_frame",
    "sentences",
    "three_frames",
]
