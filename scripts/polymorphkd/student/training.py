"""What every student's training takes in, whatever its family."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from ..frames import Frames, from_atoms
from ..predict import labels_of
from ..progress import logger
from ..teacher.training import read_training_set

VARIANTS = ("dnn", "dnn-kd")
"""Students of one model: DFT labels only, and DFT labels with the teacher's."""


@dataclass(frozen=True)
class TrainingJob:
    """One student to train.

    Parameters
    ----------
    train, valid : Path
        Frames with DFT labels (REF_ keys).
    relabelled : Path or None
        Frames with the teacher's labels; None trains the variant ``dnn``.
    folder : Path
        Where the model's files, ``potential.lmp`` and ``metrics.json`` go, and the folder
        ``work`` from which a job that was killed goes on.
    elements : sequence of str
        Types of the model, in this order.
    seed : int
        Initial weights and order of the frames; the same for every variant.
    threads : int
    """

    train: Path
    valid: Path
    relabelled: Path | None
    folder: Path
    elements: Sequence[str]
    seed: int
    threads: int = 1

    @property
    def variant(self) -> str:
        """One of `VARIANTS`."""
        return VARIANTS[self.relabelled is not None]

    def read_sets(self) -> dict[str, Frames]:
        """Frames by ``dft``, ``teacher`` (may be empty) and ``valid``.

        Raises
        ------
        InputError
            See :func:`..teacher.training.read_training_set`.
        """
        files = {"dft": self.train, "teacher": self.relabelled, "valid": self.valid}
        return {
            name: from_atoms([]) if path is None else read_training_set(path, self.elements)
            for name, path in files.items()
        }


def digests(sets: Mapping[str, Frames]) -> dict[str, str]:
    """Digest of the frames and labels of each set that has any."""
    return {
        name: hashlib.blake2b(
            repr(part.frame_ids()).encode()
            + b"".join(values.tobytes() for values in labels_of(part))
        ).hexdigest()
        for name, part in sets.items()
        if len(part)
    }


def warn_of_absent(frames: Frames, elements: Sequence[str]) -> None:
    """Say which elements no frame holds: the model takes them and knows nothing of them."""
    held = {chemical_symbols[number] for number in np.unique(frames.numbers)}
    absent = [symbol for symbol in elements if symbol not in held]
    if absent:
        logger.warning(
            "WARNING: no training frame holds %s; the student gives it forces that mean nothing",
            ", ".join(absent),
        )


def limits_of_validity(frames: Frames, shortest: float) -> dict[str, Any]:
    """What configurations a student has seen.

    Parameters
    ----------
    frames : Frames
        With labels.
    shortest : float
        Shortest distance between two atoms in them, Å.
    """
    volumes = frames.volumes / frames.n_atoms
    _, forces, _ = labels_of(frames)
    return {
        "n_atoms": [int(frames.n_atoms.min()), int(frames.n_atoms.max())],
        "volume_A3_per_atom": [round(float(v), 3) for v in (volumes.min(), volumes.max())],
        "shortest_distance_A": round(shortest, 3),
        "largest_force_eV_per_A": round(float(np.linalg.norm(forces, axis=1).max()), 3),
    }
