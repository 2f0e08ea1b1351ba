"""Open the model of a name; the heavy libraries load only then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..predict import Predictor
from ..settings import Student, Teacher

MODELS = ("teacher", "dnn", "dnn-kd")
"""Models that are judged, in the order of every table and figure."""


def load_model(name: str, files: Sequence[str | Path], settings: Mapping[str, Any]) -> Predictor:
    """Predictor of one of `MODELS`.

    Parameters
    ----------
    name : str
        ``teacher``, ``dnn`` or ``dnn-kd``.
    files : sequence of path
        Model files: the committee of the teacher, or the ``potential.lmp`` of a student.
    settings : mapping
        The section ``teacher`` or ``student`` of the settings, as the name asks.
    """
    paths = [Path(file) for file in files]
    if name == "teacher":
        from ..teacher import load_teacher

        return load_teacher(Teacher.model_validate(settings), paths)
    from ..student import load_student

    return load_student(Student.model_validate(settings).kind, paths[0])
