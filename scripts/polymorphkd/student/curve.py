"""The learning curve of a student, fine-tuning included."""

from __future__ import annotations

from pathlib import Path

from ..deepmd.curve import learning_curve
from ..provenance import atomic_path

FINE_TUNE = "fine_tune"
"""Folder of the second run, inside that of the first."""


def forget_after(work: Path, step: int) -> None:
    """Drop the lines of ``lcurve.out`` that come after `step`, from which a training goes on.

    They may tell of a divergence that is to be tried once more.
    """
    path = work / "lcurve.out"
    if not path.is_file():
        return
    lines = path.read_text().splitlines(keepends=True)
    kept = [
        line
        for line in lines
        if line.startswith("#") or (line.endswith("\n") and int(line.split()[0]) <= step)
    ]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(kept))


def student_curve(work: Path) -> dict[str, list[float]]:
    """Curve of the training in `work` and of the fine-tuning after it, steps counted through."""
    first = learning_curve(work)
    second = learning_curve(work / FINE_TUNE)
    if not second["step"]:
        return first
    second["step"] = [first["step"][-1] + step for step in second["step"]]
    return {name: values + second[name] for name, values in first.items()}
