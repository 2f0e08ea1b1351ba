"""How well a trained teacher has its own frames: errors of each set, and frames left unlearned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ase.units import GPa

from ..frames import Frames
from ..labelled import has_stress
from ..predict import labels_of
from ..progress import logger

UNLEARNED = 10.0
"""Multiple of the median energy error of the training frames beyond which one is not learned."""

LEARNED = 25.0
"""Energy error (meV/atom) that is no failure, however small those of the other frames are."""

N_NAMED = 3
"""Frames that a warning names."""


def scores(
    sets: Mapping[str, Frames],
    predict: Callable[[Frames], Frames],
    limit: float | None = None,
) -> dict[str, Any]:
    """Errors on each set, and the training frames that were not learned.

    Parameters
    ----------
    sets : mapping
        Labelled frames by name; ``train`` is one of them.
    predict : callable
        Labels by the model.
    limit : float, optional
        See :func:`unlearned`; what :func:`learned_within` says unless given.

    Returns
    -------
    dict
        For each name what :func:`rmse` says, ``learned_within_meV_per_atom`` (the limit) and
        ``unlearned``, see :func:`unlearned`.
    """
    predicted = {name: predict(frames) for name, frames in sets.items()}
    train = sets["train"], predicted["train"]
    within = learned_within(*train) if limit is None else limit
    return {
        **{name: rmse(frames, predicted[name]) for name, frames in sets.items()},
        "learned_within_meV_per_atom": within,
        "unlearned": unlearned(*train, within),
    }


def rmse(reference: Frames, predicted: Frames) -> dict[str, float | None]:
    """Root-mean-square errors of labels against a reference on the same frames.

    Returns
    -------
    dict
        ``energy_meV_per_atom``, ``force_meV_per_A`` (per component) and ``stress_GPa`` (per
        component of the symmetric 3 x 3 tensor, so that shear counts twice; of the frames
        whose reference has a stress, None where none has).
    """
    energies, forces, stresses = (
        new - old for new, old in zip(labels_of(predicted), labels_of(reference), strict=True)
    )

    def root_mean_square(values: np.ndarray) -> float:
        return float(np.sqrt(np.mean(np.square(values))))

    full = stresses[has_stress(reference)][:, [0, 1, 2, 3, 4, 5, 3, 4, 5]]
    return {
        "energy_meV_per_atom": 1e3 * root_mean_square(energies / reference.n_atoms),
        "force_meV_per_A": 1e3 * root_mean_square(forces),
        "stress_GPa": root_mean_square(full) / GPa if len(full) else None,
    }


def _energy_errors(reference: Frames, predicted: Frames) -> np.ndarray:
    """Predicted minus reference energy of each frame, meV/atom."""
    errors: np.ndarray = labels_of(predicted)[0] - labels_of(reference)[0]
    return 1e3 * errors / reference.n_atoms


def learned_within(reference: Frames, predicted: Frames) -> float:
    """Energy error (meV/atom) of a training frame beyond which it is not learned."""
    errors = np.abs(_energy_errors(reference, predicted))
    return max(LEARNED, UNLEARNED * float(np.median(errors)))


def unlearned(reference: Frames, predicted: Frames, limit: float) -> list[dict[str, Any]]:
    """Training frames whose energy the model has wrong, though it has those of the others.

    The label is wrong, or the frame is unlike the others and the training did not get there.

    Parameters
    ----------
    reference, predicted : Frames
    limit : float
        Energy error (meV/atom) that counts as learned; a prediction that is no number does not.

    Returns
    -------
    list of dict
        ``frame_id`` and ``energy_error_meV_per_atom`` (with sign), the worst first.
    """
    errors = _energy_errors(reference, predicted)
    ids = reference.frame_ids()
    return [
        {"frame_id": str(ids[i]), "energy_error_meV_per_atom": float(errors[i])}
        for i in np.argsort(-np.abs(errors), kind="stable")
        if not abs(errors[i]) <= limit
    ]


def report_scores(found: Mapping[str, Any], n_train: int) -> None:
    """Log the errors of a trained model on its two sets, and the frames that it did not learn."""
    for name in ("train", "valid"):
        errors = found[name]
        stress = errors["stress_GPa"]
        logger.info(
            "%s RMSE: energy %.1f meV/atom, force %.0f meV/Å, %s",
            name,
            errors["energy_meV_per_atom"],
            errors["force_meV_per_A"],
            "no stress to compare with" if stress is None else f"stress {stress:.2f} GPa",
        )
    if found["unlearned"]:
        logger.warning("WARNING: %s", describe_unlearned(found["unlearned"], n_train))


def describe_unlearned(frames: list[dict[str, Any]], n_train: int) -> str:
    """What is wrong, with which frames, and what helps."""
    named = ", ".join(
        f"{one['frame_id']} ({one['energy_error_meV_per_atom']:+.0f} meV/atom)"
        for one in frames[:N_NAMED]
    )
    more = f" and {len(frames) - N_NAMED} more" if len(frames) > N_NAMED else ""
    return (
        f"{len(frames)} of {n_train} training frames were not learned: the energy is wrong on the "
        f"model's own frame {named}{more}. Either the label is wrong, or it is too unlike "
        "the others: more frames of its kind, more steps or another seed can help"
    )
