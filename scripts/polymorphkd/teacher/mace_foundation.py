"""Fine-tuning: the training of MACE starts from the network and the weights of another model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EngineError
from ..frames import Frames
from ..predict import labels_of
from ..progress import logger
from ..provenance import file_digest
from ..settings import Mace
from . import mace_model
from .mace_model import MaceModel
from .reference import composition_matrix, reference_energies
from .training import rmse

_KIND = "ScaleShiftMACE"  # the only energy model whose weights mace_run_train takes over


def open_foundation(path: Path, settings: Mace, elements: Sequence[str]) -> MaceModel:
    """Load the model to start from; see :func:`.mace_model.load`.

    Raises
    ------
    EngineError
        As there, or the model is of a kind that MACE cannot go on from.
    """
    foundation = mace_model.load(path, settings, elements)
    kind = type(foundation.model).__name__
    if kind != _KIND:
        raise EngineError(
            f"{path}: is a {kind}; mace_run_train goes on from a {_KIND} alone, which is what it "
            "writes by default and what the foundation models of materials are"
        )
    return foundation


def shifted_references(
    foundation: MaceModel, frames: Frames, elements: Sequence[str]
) -> dict[str, float]:
    """Reference energies with which the foundation explains the total energies best.

    Another code, functional or pseudopotential moves every energy by a constant per element.
    These constants are fitted to what the foundation leaves unexplained, so that its binding
    energies, which are what is worth keeping, need not be learned again.

    Returns
    -------
    dict
        Energy in eV per atom for each of `elements`.
    """
    energies, _, _ = labels_of(frames)
    predicted, _, _ = labels_of(foundation.predict(frames))
    shifts = reference_energies(replace(frames, energy=energies - predicted), elements)
    return {symbol: foundation.reference(symbol) + shift for symbol, shift in shifts.items()}


def describe(
    foundation: MaceModel, path: Path, references: dict[str, float], valid: Frames
) -> dict[str, Any]:
    """What the training starts from, and its errors (:func:`.training.rmse`) before any step."""
    shifts = [energy - foundation.reference(symbol) for symbol, energy in references.items()]
    predicted = foundation.predict(valid)
    energies, _, _ = labels_of(predicted)
    predicted.energy = energies + composition_matrix(valid, list(references)) @ np.array(shifts)
    errors = rmse(valid, predicted)
    logger.info(
        "starting from %s (%s, %d layers, %.1f Å), whose validation RMSE is: force %.0f meV/Å, "
        "energy %.1f meV/atom; it decides the network",
        path.name,
        foundation.irreps,
        foundation.n_layers,
        foundation.cutoff,
        errors["force_meV_per_A"],
        errors["energy_meV_per_atom"],
    )
    return {
        "file": path.name,
        "digest": file_digest(path),
        "head": foundation.head,
        "hidden_irreps": foundation.irreps,
        "layers": foundation.n_layers,
        "r_max": foundation.cutoff,
        "valid": errors,
    }
