"""The learning curve of a student, fine-tuning included."""

from __future__ import annotations

from pathlib import Path

from ..deepmd.curve import learning_curve

FINE_TUNE = "fine_tune"
"""Folder of the second run, inside that of the first."""


def student_curve(work: Path) -> dict[str, list[float]]:
    """Curve of the training in `work` and of the fine-tuning after it, steps counted through."""
    first = learning_curve(work)
    second = learning_curve(work / FINE_TUNE)
    if not second["step"]:
        return first
    second["step"] = [first["step"][-1] + step for step in second["step"]]
    return {name: values + second[name] for name, values in first.items()}
