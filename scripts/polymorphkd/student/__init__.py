"""Students: fast potentials trained on DFT labels and a teacher's labels.

A student family is a module named in `BACKENDS` that offers ``train``, ``load`` and ``MODEL``,
the name of the file that the latter opens; it is imported only when used, because the libraries
behind it take seconds to load.  All that the workflow and LAMMPS know of a trained student is
``potential.lmp`` (:mod:`.potential`).
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..predict import Predictor
from ..settings import Student
from .potential import NAME as POTENTIAL
from .potential import copy_potential, files_of
from .training import VARIANTS, TrainingJob

ALGORITHM_VERSION = 1
"""Raise when a change of code should retrain existing students."""

BACKENDS = {"deepmd": ".deepmd", "pod": ".pod"}
"""Module of each student family, relative to this package."""

__all__ = [
    "ALGORITHM_VERSION",
    "BACKENDS",
    "POTENTIAL",
    "VARIANTS",
    "TrainingJob",
    "copy_potential",
    "load_student",
    "train_student",
]


def _backend(kind: str) -> Any:
    if kind not in BACKENDS:
        raise EngineError(f"student.kind: {kind!r} is not one of {', '.join(BACKENDS)}")
    return import_module(BACKENDS[kind], __name__)


def train_student(settings: Student, job: TrainingJob) -> None:
    """Train one student; write its models, `POTENTIAL` and metrics.

    Parameters
    ----------
    settings : Student
    job : TrainingJob
        Files, elements and seed of this variant.

    Raises
    ------
    InputError, StageError, EngineError
        Unusable training data, a training that failed or diverged, a missing program.
    """
    _backend(settings.kind).train(settings, job)


def load_student(kind: str, model: str | Path) -> Predictor:
    """Trained student from its model file.

    Parameters
    ----------
    kind : str
        Family, a key of `BACKENDS`.
    model : path
        Its model file, or the ``potential.lmp`` beside it.

    Raises
    ------
    EngineError
        Unknown family, or a file that cannot be loaded.
    InputError
        A file beside ``potential.lmp`` is not the one that was trained.
    """
    backend, path = _backend(kind), Path(model)
    if path.name == POTENTIAL:
        files_of(path)
        path = path.with_name(backend.MODEL)
    return backend.load(path)
