"""Message-passing teachers: training, committees, and labels for the supplementary frames.

A teacher family is a module named in `BACKENDS` that offers ``train``, ``load`` and
``check_installed``; it is imported only when used, because the libraries behind it take seconds
to load.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import EngineError, InputError
from ..predict import Predictor
from ..settings import Teacher
from .committee import Committee
from .training import TrainingJob, quiet

ALGORITHM_VERSION = 1
"""Raise when a change of code should retrain existing teachers."""

BACKENDS = {"mace": ".mace", "dpa": ".dp", "mace-deepmd": ".dp", "nequip": ".dp"}
"""Module of each teacher family, relative to this package."""

__all__ = [
    "ALGORITHM_VERSION",
    "BACKENDS",
    "TrainingJob",
    "check_teacher",
    "load_teacher",
    "train_teacher",
]


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
    _backend(settings).train(settings, job)


def check_teacher(
    settings: Teacher,
    models: Sequence[str],
    elements: Sequence[str],
    foundation: str | None = None,
) -> None:
    """Refuse, before any job, model files that cannot be used, or a family that cannot train.

    Parameters
    ----------
    settings : Teacher
    models : sequence of str
        The user's own files; none where a teacher is to be trained.
    elements : sequence of str
    foundation : str, optional
        File that the training shall start from.

    Raises
    ------
    InputError
        A file is absent, is no model of this family, or does not know an element.
    EngineError
        What the family needs is not installed.
    """
    given = [("teacher", path) for path in models]
    if foundation is not None:
        given.append(("foundation", foundation))
    for key, path in given:
        if not Path(path).is_file():
            raise InputError(f"inputs.{key}: {path}: no such file")
    if foundation is not None and settings.kind != "mace":
        raise InputError(
            f"inputs.foundation: is for teacher.kind mace alone, and it is {settings.kind}"
        )
    backend = _backend(settings)
    backend.check_installed(settings)
    # On the CPU: the machine that starts the run need not have the GPU of the jobs.
    family = getattr(settings, settings.section).model_copy(update={"device": "cpu"})
    here = settings.model_copy(update={settings.section: family})
    for key, path in given:
        try:
            if key == "teacher":
                backend.load(Path(path), here, elements)
            else:
                backend.open_foundation(Path(path), here.mace, elements)
        except EngineError as error:
            raise InputError(f"inputs.{key}: {error}") from None


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
    members = [backend.load(Path(path), settings, elements) for path in models]
    return members[0] if len(members) == 1 else Committee(members)
