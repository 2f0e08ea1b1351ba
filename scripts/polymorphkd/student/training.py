"""What every student's training takes in, whatever its family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

VARIANTS = ("dnn", "dnn-kd")
"""Students of one network: DFT labels only, and DFT labels with the teacher's."""


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
        Where ``model.pb`` (compressed), ``frozen.pb`` and ``metrics.json`` go, and the
        folder ``work`` from which a job that was killed goes on.
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
