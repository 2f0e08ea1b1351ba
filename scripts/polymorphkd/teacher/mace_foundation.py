"""Fine-tuning: the training of MACE starts from the network and the weights of another model.

MACE takes the weights over by itself, but it keeps reference energies and element order of the
file where those fit, and stumbles over other precisions.  So it is given a copy in which the
elements, the energies and the precision are already those of the training.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_numbers
from mace.modules import ScaleShiftMACE
from mace.tools import AtomicNumberTable
from mace.tools.finetuning_utils import load_foundations_elements
from mace.tools.scripts_utils import extract_config_mace_model, remove_pt_head
from mace.tools.torch_tools import default_dtype

from ..errors import EngineError, StageError
from ..frames import Frames, from_atoms
from ..predict import labels_of
from ..progress import logger
from ..provenance import file_digest
from ..settings import Mace
from . import mace_model
from .mace_model import MaceModel
from .reference import composition_matrix, reference_energies
from .scores import rmse
from .training import quiet

_KIND = "ScaleShiftMACE"  # the only energy model whose weights mace_run_train takes over
_TOLERANCE = 1e-6  # eV/Å, between a model and its copy in double precision


def open_foundation(path: Path, settings: Mace, elements: Sequence[str]) -> MaceModel:
    """The model to start from, for `elements` alone; see :func:`.mace_model.load`.

    It is opened on the CPU: the training, another process, may need the GPU for itself.

    Raises
    ------
    EngineError
        As there, or the model is of a kind or make that MACE cannot go on from.
    """
    foundation = mace_model.load(path, settings.model_copy(update={"device": "cpu"}), elements)
    kind = type(foundation.model).__name__
    if kind != _KIND:
        raise EngineError(
            f"{path}: is a {kind}; mace_run_train goes on from a {_KIND} alone, which is what it "
            "writes by default and what the foundation models of materials are"
        )
    try:
        with quiet():
            model = _for_elements(foundation, elements)
    except (
        RuntimeError,
        AttributeError,
        AssertionError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise EngineError(
            f"{path}: MACE cannot take its network over ({type(error).__name__}: {error}); "
            "allowed are models of Bessel functions, and of at most two layers where max_L is "
            "above 0"
        ) from error
    result = MaceModel(model, "cpu", str(path))
    probe = _probe(elements, foundation.cutoff)
    found, wanted = (labels_of(one.predict(probe))[1] for one in (result, foundation))
    if not np.allclose(found, wanted, atol=_TOLERANCE):
        raise EngineError(
            f"{path}: MACE cannot take its network over: the copy predicts other forces; please "
            "report this with the file"
        )
    return result


def _probe(elements: Sequence[str], cutoff: float) -> Frames:
    """Two atoms of each element in a crooked row, in which neighbours meet."""
    n = 2 * len(elements)
    places = np.arange(n)[:, None] * [0.5 * cutoff, 0.0, 0.0]
    places += 0.1 * cutoff * np.sin(np.arange(3 * n)).reshape(n, 3)
    cell = [0.5 * cutoff * n, 2 * cutoff, 2 * cutoff]
    return from_atoms([Atoms([*elements] * 2, positions=places, cell=cell, pbc=True)])


def _for_elements(foundation: MaceModel, elements: Sequence[str]) -> torch.nn.Module:
    """The same network for some of its elements, in the order of their numbers, with one head."""
    old = foundation.model
    if foundation.numbers.zs != sorted(foundation.numbers.zs):
        raise ValueError("its elements are not in the order of their atomic numbers")
    with default_dtype("float64"):
        if len(foundation.heads) > 1:
            old = remove_pt_head(old, foundation.head).double()
        table = AtomicNumberTable(sorted(atomic_numbers[symbol] for symbol in elements))
        config = extract_config_mace_model(old) | {
            "atomic_numbers": table.zs,
            "num_elements": len(table),
            "atomic_energies": np.array(
                [foundation.reference(symbol) for symbol in _in_order(elements)]
            ),
            "atomic_inter_scale": 1.0,
            "atomic_inter_shift": 0.0,
            "heads": ["Default"],
        }
        new = ScaleShiftMACE(**config)
        order = config["hidden_irreps"].lmax
        load_foundations_elements(new, old, table, load_readout=True, max_L=order)
    return new


def _in_order(elements: Sequence[str]) -> list[str]:
    return sorted(elements, key=lambda symbol: atomic_numbers[symbol])


def write_start(
    foundation: MaceModel, references: dict[str, float], dtype: str, path: Path
) -> None:
    """Write the model that ``mace_run_train`` is given, with its reference energies (eV)."""
    model = copy.deepcopy(foundation.model)
    energies = model.get_buffer("atomic_energies_fn.atomic_energies")
    energies.copy_(energies.new_tensor([references[s] for s in _in_order(list(references))]))
    torch.save(model.to(getattr(torch, dtype)).requires_grad_(True), path)


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
    predicted, forces, _ = labels_of(foundation.predict(frames))
    wrong = ~np.isfinite(predicted)
    if wrong.any() or not np.isfinite(forces).all():
        names = ", ".join(frames.take(np.flatnonzero(wrong)).frame_ids()[:3]) or "some frames"
        raise StageError(
            f"teacher: {foundation.name} predicts no numbers for {names} of the training set; "
            "remove them, or start from another model (inputs.foundation)"
        )
    shifts = reference_energies(replace(frames, energy=energies - predicted), elements)
    return {symbol: foundation.reference(symbol) + shift for symbol, shift in shifts.items()}


def describe(
    foundation: MaceModel, path: Path, references: dict[str, float], valid: Frames
) -> dict[str, Any]:
    """What the training starts from, and its errors (:func:`.scores.rmse`) before any step."""
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
        "hidden_irreps": foundation.irreps,
        "layers": foundation.n_layers,
        "r_max": foundation.cutoff,
        "valid": errors,
    }
