"""What every teacher's training takes in and reports, whatever its family."""

from __future__ import annotations

import io
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
from ..predict import labels_of
from ..progress import logger
from ..readers import read_frames


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
    """

    train: Path
    valid: Path
    model: Path
    metrics: Path
    work: Path
    elements: Sequence[str]
    seed: int
    threads: int = 1


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
    """Frames fit for training: complete finite labels, no element but `elements`.

    Raises
    ------
    InputError
        A label is missing or not finite, or an atom's element is not in `elements`.
    """
    frames = read_frames(path)
    missing = [
        f"REF_{name}"
        for name in ("energy", "forces", "stress")
        if (values := getattr(frames, name)) is None or not np.isfinite(values).all()
    ]
    if missing:
        raise InputError(
            f"{path}: {', '.join(missing)} missing or not finite in at least one frame; the "
            "teacher trains on energies (eV), forces (eV/Å) and stresses (eV/Å^3) of all frames"
        )
    found = {chemical_symbols[number] for number in np.unique(frames.numbers)}
    foreign = sorted(found - set(elements))
    if foreign:
        raise InputError(
            f"{path}: holds {', '.join(foreign)}, which is not under elements "
            f"({', '.join(elements)})"
        )
    return frames


def read_training_set(path: Path, elements: Sequence[str]) -> Frames:
    """Frames fit for a training of DeePMD-kit, in the order of their ids.

    Raises
    ------
    InputError
        As :func:`read_labelled`, or a frame has an open boundary (a virial needs a periodic
        cell).
    """
    frames = read_labelled(path, elements)
    open_frames = np.flatnonzero(~frames.pbc.all(axis=1))
    if len(open_frames):
        raise InputError(
            f"{path}: frame {open_frames[0]} is not periodic along all three axes; the model "
            "trains on virials and needs periodic cells"
        )
    return frames.sorted_by_id()


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
    pressure = np.abs(stresses).max(axis=1) / GPa
    ids = frames.frame_ids()

    def worst(values: np.ndarray, unit: str) -> str:
        order = np.argsort(-values, kind="stable")[:N_SUSPECTS]
        return ", ".join(f"{ids[i]} ({values[i]:.3g} {unit})" for i in order)

    return (
        f"Look first at the frames of the largest forces: {worst(largest, 'eV/Å')}; and of the "
        f"largest stresses: {worst(pressure, 'GPa')}"
    )


def rmse(reference: Frames, predicted: Frames) -> dict[str, float]:
    """Root-mean-square errors of labels against a reference on the same frames.

    Returns
    -------
    dict
        ``energy_meV_per_atom``, ``force_meV_per_A`` (per component) and ``stress_GPa`` (per
        component of the symmetric 3 x 3 tensor, so that shear counts twice).
    """
    energies, forces, stresses = (
        new - old for new, old in zip(labels_of(predicted), labels_of(reference), strict=True)
    )

    def root_mean_square(values: np.ndarray) -> float:
        return float(np.sqrt(np.mean(np.square(values))))

    full = stresses[:, [0, 1, 2, 3, 4, 5, 3, 4, 5]]
    return {
        "energy_meV_per_atom": 1e3 * root_mean_square(energies / reference.n_atoms),
        "force_meV_per_A": 1e3 * root_mean_square(forces),
        "stress_GPa": root_mean_square(full) / GPa,
    }


def report_errors(metrics: Mapping[str, Any]) -> None:
    """Log the errors of a trained model on its two sets."""
    for name in ("train", "valid"):
        errors = metrics[name]
        logger.info(
            "%s RMSE: energy %.1f meV/atom, force %.0f meV/Å, stress %.2f GPa",
            name,
            errors["energy_meV_per_atom"],
            errors["force_meV_per_A"],
            errors["stress_GPa"],
        )
