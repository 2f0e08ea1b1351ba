"""Message-passing teachers: training, committees, and labels for the supplementary frames.

A teacher family is a module named in `BACKENDS` that offers ``train`` and ``load``; it is
imported only when used, because the libraries behind it take seconds to load.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..predict import Predictor
from ..settings import Teacher
from .committee import Committee
from .training import TrainingJob, quiet

ALGORITHM_VERSION = 1
"""Raise when a change of code should retrain existing teachers."""

BACKENDS = {"mace": ".mace"}
"""Module of each teacher family, relative to this package."""

__all__ = ["ALGORITHM_VERSION", "BACKENDS", "TrainingJob", "load_teacher", "train_teacher"]


def _backend(settings: Teacher) -> Any:
    with quiet():
        return import_module(BACKENDS[settings.kind], __name__)


def train_teacher(settings: Teacher, job: TrainingJob) -> None:
    """Train one model of the committee and write its model and metrics files.

    Parameters
    ----------
    settings : Teacher
    job : TrainingJob
        Files, elements and seed of this model.

    Raises
    ------
    InputError, StageError, EngineError
        Unusable training data, a training that failed or diverged, a missing device.
    """
    _backend(settings).train(settings.mace, job)


def load_teacher(
    settings: Teacher, models: Sequence[str | Path], elements: Sequence[str] = ()
) -> Predictor:
    """Teacher from model files, trained here or brought from outside.

    Parameters
    ----------
    settings : Teacher
    models : sequence of path
        One file, or several for a committee: labels are then the members' mean and the
        metadata column ``force_spread`` (eV/Å) tells how far the members disagree.
    elements : sequence of str
        Chemical symbols that every model must know.

    Raises
    ------
    EngineError
        No file is given, one cannot be loaded, or one does not know an element.
    """
    if not models:
        raise EngineError("teacher: no model file given; expected at least one")
    backend = _backend(settings)
    members = [backend.load(Path(path), settings.mace, elements) for path in models]
    return members[0] if len(members) == 1 else Committee(members)
