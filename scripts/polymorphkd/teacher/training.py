"""What every teacher's training takes in and reports, whatever its family."""

from __future__ import annotations

import io
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from ase.units import GPa

from ..errors import DivergedError, InputError
from ..frames import Frames
from ..labelled import has_stress, read_labels
from ..predict import labels_of
from ..progress import logger
from ..provenance import atomic_path, write_json
from .scores import report_scores


@dataclass(frozen=True)
class TrainingJob:
    """One model to train.

    Parameters
    ----------
    train, valid : Path
        Labelled frames (REF_ keys).
    model, metrics : Path
        Files to write: the model, and JSON with learning curve, final errors and versions.
    work : Path
        Folder for checkpoints; a job that was killed goes on from there.  It is removed
        once the model is written.
    elements : sequence of str
        Chemical symbols that the model shall know.
    seed : int
        Initial weights and order of the frames.
    threads : int
    foundation : Path, optional
        Model that the training starts from; of the family mace alone.
    """

    train: Path
    valid: Path
    model: Path
    metrics: Path
    work: Path
    elements: Sequence[str]
    seed: int
    threads: int = 1
    foundation: Path | None = None


@contextmanager
def quiet() -> Iterator[None]:
    """Send what libraries print and warn about to the log, at debug level."""
    printed = io.StringIO()
    with (
        warnings.catch_warnings(record=True) as caught,
        redirect_stdout(printed),
        redirect_stderr(printed),
    ):
        warnings.simplefilter("default")
        try:
            yield
        finally:
            lines = [str(item.message) for item in caught] + printed.getvalue().splitlines()
            for line in dict.fromkeys(lines):
                logger.debug("%s", line)


def read_labelled(path: Path, elements: Sequence[str]) -> Frames:
    """Frames fit for training: finite energies and forces, no element but `elements`.

    A frame without a stress stays: it teaches energies and forces.

    Raises
    ------
    InputError
        A label is missing or not finite, or an atom's element is not in `elements`.
    """
    frames = read_labels(path)
    found = {chemical_symbols[number] for number in np.unique(frames.numbers)}
    foreign = sorted(found - set(elements))
    if foreign:
        raise InputError(
            f"{path}: holds {', '.join(foreign)}, which is not under elements "
            f"({', '.join(elements)})"
        )
    without = int((~has_stress(frames)).sum())
    if without:
        logger.warning(
            "%s: %d of %d frames have no stress; they teach energies and forces alone",
            path.name,
            without,
            len(frames),
        )
    assert frames.forces is not None
    if np.abs(frames.forces).max() > LARGE_FORCE:
        # Optimisers clip such gradients: the training goes on, and the model is spoilt.
        logger.warning(
            "WARNING: %s: forces beyond %g eV/Å. %s", path.name, LARGE_FORCE, _suspects(frames)
        )
    return frames


LARGE_FORCE = 100.0
"""Force (eV/Å) beyond which a label is reported: atoms that all but touch, or a mistake."""

SMALL_FORCE = 10.0
"""Force RMSE (meV/Å) that is no failure, however symmetric the validation frames are."""


def read_training_set(path: Path, elements: Sequence[str]) -> Frames:
    """Frames fit for a training of DeePMD-kit, in the order of their ids.

    Raises
    ------
    InputError
        As :func:`read_labelled`, or a frame has an open boundary (a virial needs a periodic
        cell).
    """
    frames = read_labelled(path, elements)
    check_periodic(frames, path)
    return frames.sorted_by_id()


def check_periodic(frames: Frames, path: str | Path) -> None:
    """Raise InputError if a frame of a file has an open boundary: DeePMD-kit cannot learn it."""
    open_frames = np.flatnonzero(~frames.pbc.all(axis=1))
    if len(open_frames):
        raise InputError(
            f"{path}: frame {open_frames[0]} is not periodic along all three axes; the model "
            "trains on virials and needs periodic cells"
        )


N_SUSPECTS = 3
"""Frames of each kind that the message of a diverged training names."""


@contextmanager
def naming_suspects(frames: Frames) -> Iterator[None]:
    """Add to the error of a diverged training which of its frames are the most extreme.

    These are the frames of the largest forces and of the largest stresses: a label that is
    wrong, or far from all others, is the usual cause.
    """
    try:
        yield
    except DivergedError as error:
        raise DivergedError(f"{error}. {_suspects(frames)}") from None


def _suspects(frames: Frames) -> str:
    _, forces, stresses = labels_of(frames)
    norms = np.linalg.norm(forces, axis=1)
    largest = np.array([norms[frames.atoms_of(i)].max(initial=0.0) for i in range(len(frames))])
    pressure = np.abs(np.nan_to_num(stresses)).max(axis=1) / GPa  # NaN: the frame has none
    ids = frames.frame_ids()

    def worst(values: np.ndarray, unit: str) -> str:
        order = np.argsort(-values, kind="stable")[:N_SUSPECTS]
        return ", ".join(f"{ids[i]} ({values[i]:.3g} {unit})" for i in order)

    return (
        f"Look first at the frames of the largest forces: {worst(largest, 'eV/Å')}; and of the "
        f"largest stresses: {worst(pressure, 'GPa')}"
    )


def warn_if_useless(errors: dict[str, float | None], valid: Frames, train: Frames) -> None:
    """Say so where a model predicts forces no better than one that predicts none.

    A learning rate that is far too large need not end in NaN.

    Parameters
    ----------
    errors : dict
        See :func:`.scores.rmse`, on `valid`.
    valid, train : Frames
        The latter's most extreme frames are named.
    """
    found = errors["force_meV_per_A"]
    trivial = 1e3 * float(np.sqrt(np.mean(np.square(labels_of(valid)[1]))))
    if found is not None and found > max(trivial, SMALL_FORCE):
        logger.warning(
            "WARNING: the force RMSE on the validation set, %.0f meV/Å, is worse than that of no "
            "forces at all, %.0f meV/Å: the training failed; lower the learning rate, train "
            "longer, or check the labels. %s",
            found,
            trivial,
            _suspects(train),
        )


def keep(
    job: TrainingJob, metrics: dict[str, Any], sets: Mapping[str, Frames], model: Path
) -> None:
    """Report a trained model, write its metrics and its file, and clear the working folder.

    Parameters
    ----------
    job : TrainingJob
    metrics : dict
        With what :func:`.scores.scores` says.
    sets : mapping
        The frames under the same names.
    model : Path
        File in the working folder.
    """
    report_scores(metrics, len(sets["train"]))
    warn_if_useless(metrics["valid"], sets["valid"], sets["train"])
    write_json(job.metrics, metrics)
    with atomic_path(job.model) as temporary:
        shutil.copyfile(model, temporary)
    shutil.rmtree(job.work)
