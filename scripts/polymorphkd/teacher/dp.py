"""Teachers of DeePMD-kit's PyTorch backend: DPA-3, MACE and NequIP (by deepmd-gnn).

They differ in the network alone.  Training and prediction run in an environment of their own
(`dp_environment`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..deepmd.data import largest_neighbour_counts, sel_from_counts, write_systems
from ..deepmd.predictor import DeepmdPredictor
from ..frames import Frames
from ..predict import labels_of, require
from ..processes import claimed
from ..progress import logger
from ..provenance import digest, write_json
from ..settings import DeepmdTorch, Dpa, Teacher
from .curve import deepmd_curve
from .dp_environment import RemotePotential, check_device, child_environment, located, versions
from .dp_input import network, training_input
from .dp_process import freeze, program_of, run_training
from .reference import reference_energies
from .scores import scores
from .training import (
    TrainingJob,
    keep,
    naming_suspects,
    read_training_set,
)

__all__ = ["check_installed", "load", "train"]


def _schedule(settings: Teacher) -> DeepmdTorch:
    """The section of the chosen family."""
    section: DeepmdTorch = getattr(settings, settings.section)
    return section


def check_installed(settings: Teacher) -> None:
    """Raise EngineError if the environment cannot train this family."""
    versions(located(settings.environment), settings.kind)


def load(path: Path, settings: Teacher, elements: Sequence[str] = ()) -> DeepmdPredictor:
    """Open a frozen model and check that it knows `elements`.

    Raises
    ------
    EngineError
        The environment or the file is absent, the file is no model of DeePMD-kit's PyTorch
        backend, or it does not know an element.
    """
    python = located(settings.environment)
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    potential = RemotePotential(python, path, threads, _schedule(settings).device)
    require(str(path), potential.get_type_map(), elements)
    return DeepmdPredictor(potential)


def train(settings: Teacher, job: TrainingJob) -> None:
    """Train one model; see :func:`polymorphkd.teacher.train_teacher`.

    The learning rate decays exponentially, and the loss moves from forces to energies and
    virials.  The model is the one of the last step.
    """
    family, key = _schedule(settings), f"teacher.{settings.section}"
    sets = {
        name: read_training_set(getattr(job, name), job.elements) for name in ("train", "valid")
    }
    references = reference_energies(sets["train"], job.elements)
    for symbol, energy in references.items():
        logger.info("reference energy of %s: %.4f eV per atom", symbol, energy)
    _check_digits(family, sets["train"])
    python = located(settings.environment)
    found = versions(python, settings.kind)
    check_device(python, family.device, key)
    program = program_of(python, job.work, child_environment(job.threads, family.device), key)
    with claimed(job.work, _identity(settings, job, found)):
        _prepare(family, job, sets)
        with naming_suspects(sets["train"]):
            resumed = run_training(program, family.steps)
        frozen = freeze(program)
        model = RemotePotential(python, frozen, job.threads, family.device)
        predictor = DeepmdPredictor(model)
        metrics = {
            "kind": settings.kind,
            "versions": found,
            "seed": job.seed,
            "settings": family.model_dump(mode="json"),
            "n_parameters": model.n_parameters,
            "n_frames": {name: len(frames) for name, frames in sets.items()},
            **scores(sets, predictor.predict),
            "learning_curve": deepmd_curve(job.work),
            "device": family.device,
            "resumed_from_step": resumed,
            "reference_energies_eV": references,
        }
        keep(job, metrics, sets, frozen)


def _check_digits(family: DeepmdTorch, frames: Frames) -> None:
    """Warn where float32 cannot hold total energies to 0.1 meV per atom.

    DPA adds its reference energies in double precision, the networks of deepmd-gnn do not.
    """
    if isinstance(family, Dpa) or family.precision != "float32":
        return
    energies = labels_of(frames)[0].astype(np.float32)
    if (np.spacing(np.abs(energies)) > 1e-4 * frames.n_atoms).any():
        logger.warning(
            "total energies up to %.3g eV lose more than 0.1 meV per atom in float32; use float64 "
            "where the family offers it",
            np.abs(energies).max(),
        )


def _identity(settings: Teacher, job: TrainingJob, found: dict[str, str]) -> str:
    """Digest of what decides the result: family, settings, data, seed, versions."""
    return digest(
        {
            "kind": settings.kind,
            "settings": _schedule(settings).model_dump(mode="json", exclude={"device"}),
            "data": [digest(path.read_text()) for path in (job.train, job.valid)],
            "elements": list(job.elements),
            "seed": job.seed,
            "versions": found,
        }
    )


def _prepare(family: DeepmdTorch, job: TrainingJob, sets: dict[str, Frames]) -> None:
    """Write DeePMD's data and ``input.json``, with paths relative to the working folder."""
    data = job.work / "data"
    shutil.rmtree(data, ignore_errors=True)
    systems = {
        name: [
            path.relative_to(job.work) for path in write_systems(part, job.elements, data / name)
        ]
        for name, part in sets.items()
    }
    sel = _room(sets["train"], job.elements, family.r_max)
    angle_sel = (
        _room(sets["train"], job.elements, family.angle_r_max) if isinstance(family, Dpa) else 0
    )
    force_scale = float(np.sqrt(np.mean(np.square(labels_of(sets["train"])[1]))))
    model = network(family, sel, angle_sel, max(force_scale, 1e-3), job.seed)
    content: dict[str, Any] = training_input(
        family, model, job.elements, len(sets["train"]), systems, job.seed
    )
    write_json(job.work / "input.json", content)


def _room(frames: Frames, elements: Sequence[str], cutoff: float) -> int:
    """Room for the neighbours of all elements within `cutoff`."""
    counts, _ = largest_neighbour_counts(frames, elements, cutoff)
    return sum(sel_from_counts(counts))
