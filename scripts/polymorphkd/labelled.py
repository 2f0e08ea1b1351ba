"""Whether frames carry the labels that training and comparison need, and where they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .errors import InputError
from .frames import Frames
from .readers import read_frames

NAMED = 3
"""Frames that a message names before it says how many there are."""


def has_stress(frames: Frames) -> np.ndarray:
    """Which frames have a stress, shape (n_frames,), bool.

    A stress may lack: not every program gives one, and without a volume there is none.  Such
    a frame teaches energies and forces, and is compared in these.
    """
    if frames.stress is None:
        return np.zeros(len(frames), dtype=bool)
    return np.asarray(np.isfinite(frames.stress).all(axis=1))


def check_labels(frames: Frames, name: str) -> None:
    """Refuse a set in which a frame lacks its energy or a force, or has half a stress.

    Parameters
    ----------
    frames : Frames
    name : str
        What the message starts with, such as the file's path.

    Raises
    ------
    InputError
        The set is empty, or a label is missing or not finite; the message names the frames.
    """
    if not len(frames):
        raise InputError(f"{name}: holds no frame; expected at least one with labels")
    lacking = _lacking(frames)
    if lacking:
        which = ", ".join(f"{key} of {_some(bad, len(frames))}" for key, bad in lacking.items())
        raise InputError(
            f"{name}: missing or not finite: {which}; every frame needs REF_energy (eV) and "
            "REF_forces (eV/Å)"
        )
    if frames.stress is None:
        return
    half = ~np.isfinite(frames.stress).all(axis=1) & ~np.isnan(frames.stress).all(axis=1)
    if half.any():
        raise InputError(
            f"{name}: REF_stress of {_some(half, len(frames))} is not finite; a frame has six "
            "numbers (eV/Å^3), or no REF_stress at all"
        )


def _lacking(frames: Frames) -> dict[str, np.ndarray]:
    """Keys that a frame lacks, each with the frames as shape (n_frames,), bool."""
    everything = np.ones(len(frames), dtype=bool)
    energy = everything if frames.energy is None else ~np.isfinite(frames.energy)
    forces = everything
    if frames.forces is not None:
        bad = ~np.isfinite(frames.forces).all(axis=1)
        owner = np.repeat(np.arange(len(frames)), frames.n_atoms)
        forces = np.bincount(owner, weights=bad, minlength=len(frames)) > 0
    found = {"REF_energy": energy, "REF_forces": forces}
    return {key: bad for key, bad in found.items() if bad.any()}


def _some(chosen: np.ndarray, n_frames: int) -> str:
    """Frames by their indices, the first few of many: ``frames 2, 3, 7 and 9 more of 40``."""
    indices = np.flatnonzero(chosen)
    if len(indices) == n_frames:
        return f"all {n_frames} frames" if n_frames > 1 else "the only frame"
    named = ", ".join(str(i) for i in indices[:NAMED])
    more = f" and {len(indices) - NAMED} more" if len(indices) > NAMED else ""
    return f"frame{'s' if len(indices) > 1 else ''} {named}{more} of {n_frames}"


def read_labels(path: str | Path) -> Frames:
    """Read a set of labelled frames and check it.

    Raises
    ------
    InputError
        See :func:`check_labels`.  Where the labels stand under other keys than those that
        start with REF_, the message says how to bring them there.
    """
    frames = read_frames(path)
    try:
        check_labels(frames, str(path))
    except InputError as error:
        lost = _lacking(frames)
        if lost and not set(_lacking(read_frames(path, labels_from_calculator=True))) & set(lost):
            raise InputError(
                f"{error}. What lacks stands under other keys (energy, forces): if one method "
                "made all of it, `polymorphkd import-labels` writes a set with the REF_ keys"
            ) from None
        raise
    return frames
