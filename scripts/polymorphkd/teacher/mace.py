"""MACE as teacher: training through ``mace_run_train``, prediction, files in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import DivergedError, EngineError
from ..frames import Frames, write_frames
from ..processes import claimed
from ..progress import logger
from ..provenance import digest, file_digest, version_of
from ..settings import Mace, Teacher
from . import mace_model
from .curve import learning_curve, restart_folder
from .mace_foundation import describe, open_foundation, shifted_references, write_start
from .mace_model import MaceModel, resolve_device
from .mace_training import START, MaceTraining, Trained, stage_two
from .reference import reference_energies
from .scores import report_scores
from .training import (
    TrainingJob,
    keep,
    naming_suspects,
    read_labelled,
)

__all__ = ["check_installed", "load", "open_foundation", "train"]


def check_installed(settings: Teacher) -> None:
    """Nothing is left to check where this module could be imported."""


def load(path: Path, settings: Teacher, elements: Sequence[str] = ()) -> MaceModel:
    """Open a model file; see :func:`.mace_model.load`."""
    return mace_model.load(path, settings.mace, elements)


def train(teacher: Teacher, job: TrainingJob) -> None:
    """Train one model; see :func:`polymorphkd.teacher.train_teacher`.

    Stage one weighs forces; stage two, with a lower constant learning rate, weighs energies
    and stresses.  Validation and the saved model use the exponential moving average of the
    weights, and the epoch of stage two with the lowest validation loss is kept.

    Where frames of the training set are left unlearned (:func:`.scores.unlearned`), the
    schedule runs again from the weights reached, a warm restart, and its model is kept if it
    learned more of them.  Large gradients make Adam's steps small (AMSGrad's for good), so that a
    frame whose gradients are large and against those of the others stays out of reach; a fresh
    optimiser gets there from where the others are learned.
    """
    settings = teacher.mace
    sets = {name: read_labelled(getattr(job, name), job.elements) for name in ("train", "valid")}
    device = resolve_device(settings.device)
    with claimed(job.work, _identity(settings, job)):
        for name, frames in sets.items():  # what was checked is what MACE reads
            write_frames(job.work / f"{name}.extxyz", frames)
        references, origin = _start(settings, job, sets)
        for symbol, energy in references.items():
            logger.info("reference energy of %s: %.4f eV per atom", symbol, energy)
        training = MaceTraining(settings, job, sets, references, device)
        with naming_suspects(sets["train"]):
            first = training.run(job.work)
        kept, restarts = _restarted(training, first)
        metrics = _metrics(training, kept, sum(one["kept"] for one in restarts)) | {
            "device": device,
            "restarts": restarts,
            "reference_energies_eV": references,
            **({"foundation": origin} if origin else {}),
        }
        keep(job, metrics, sets, kept.file)


def _start(
    settings: Mace, job: TrainingJob, sets: dict[str, Frames]
) -> tuple[dict[str, float], dict[str, Any]]:
    """Reference energies, and what the training starts from: nothing, or a foundation."""
    if job.foundation is None:
        return reference_energies(sets["train"], job.elements), {}
    foundation = open_foundation(job.foundation, settings, job.elements)
    references = shifted_references(foundation, sets["train"], job.elements)
    write_start(foundation, references, settings.dtype, job.work / START)
    return references, describe(foundation, job.foundation, references, sets["valid"])


def _restarted(training: MaceTraining, kept: Trained) -> tuple[Trained, list[dict[str, Any]]]:
    """The best model after the restarts, and a record of each.

    A record has ``unlearned`` (the frames before it), ``valid`` (errors after it, None if it
    was given up) and ``kept``.  One that is not kept is the last: the next would be the same.
    """
    records: list[dict[str, Any]] = []
    limit = kept.scores["learned_within_meV_per_atom"]
    while kept.scores["unlearned"] and len(records) < training.settings.restarts:
        number = len(records) + 1
        folder = restart_folder(training.job.work, number)
        if not _prepare_restart(training, kept, folder):
            break
        record = {"unlearned": kept.scores["unlearned"], "valid": None, "kept": False}
        records.append(record)
        try:
            again = training.run(folder, limit)
        except DivergedError:
            logger.warning("restart %d diverged; the model before it is kept", number)
            break
        if not again.improves(kept):
            logger.info("restart %d is no better; the model before it is kept", number)
            break
        record |= {"valid": again.scores["valid"], "kept": True}
        kept = replace(again, resumed=kept.resumed + again.resumed)
    return kept, records


def _prepare_restart(training: MaceTraining, last: Trained, folder: Path) -> bool:
    """Say what was not learned and write what the next training starts from, if MACE can."""
    settings, job = training.settings, training.job
    report_scores(last.scores, len(training.sets["train"]))
    try:
        model = open_foundation(last.file, settings, job.elements)
    except EngineError as error:
        logger.warning("no restart from these weights: %s", error)
        return False
    logger.info("warm restart with a fresh optimiser: %s", folder.name)
    folder.mkdir(exist_ok=True)
    write_start(model, dict(training.references), settings.dtype, folder / START)
    return True


def _identity(settings: Mace, job: TrainingJob) -> str:
    """Digest of what decides the result: settings, data, seed, version of MACE."""
    unused = set(Mace.NETWORK) if job.foundation else set()
    return digest(
        {
            "settings": settings.model_dump(mode="json", exclude={"device", "restarts"} | unused),
            "data": [digest(path.read_text()) for path in (job.train, job.valid)],
            "elements": list(job.elements),
            "seed": job.seed,
            "mace": version_of("mace-torch"),
            **({"foundation": file_digest(job.foundation)} if job.foundation else {}),
        }
    )


def _metrics(training: MaceTraining, kept: Trained, restarts: int) -> dict[str, Any]:
    settings, job = training.settings, training.job
    return {
        "kind": "mace",
        "versions": {name: version_of(name) for name in ("mace-torch", "torch", "e3nn")},
        "seed": job.seed,
        "settings": settings.model_dump(
            mode="json", exclude=set(Mace.NETWORK) if job.foundation else None
        ),
        "n_parameters": kept.n_parameters,
        "n_frames": {name: len(frames) for name, frames in training.sets.items()},
        "resumed_from_epoch": kept.resumed,
        **kept.scores,
        "learning_curve": learning_curve(job.work, stage_two(settings), restarts),
    }
