"""MACE as teacher: training through ``mace_run_train``, prediction, files in between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ase.data import atomic_numbers

from ..errors import StageError
from ..frames import Frames, write_frames
from ..processes import claimed
from ..progress import logger
from ..provenance import digest, file_digest, version_of
from ..settings import Mace, Teacher
from . import mace_model, mace_process
from .curve import learning_curve
from .mace_foundation import describe, open_foundation, shifted_references, write_start
from .mace_model import MaceModel, resolve_device
from .reference import reference_energies
from .scores import scores
from .training import (
    TrainingJob,
    keep,
    naming_suspects,
    read_labelled,
)

__all__ = ["check_installed", "load", "open_foundation", "train"]

_NAME = "teacher"
_FOUNDATION = "foundation.model"


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
        arguments = _arguments(settings, job, references, len(sets["train"]), device)
        if job.foundation is not None:
            arguments += [
                f"--foundation_model={(job.work / _FOUNDATION).resolve()}",
                "--multiheads_finetuning=False",
            ]
        with naming_suspects(sets["train"]):
            resumed = mace_process.run(arguments, job.work, settings.epochs, job.threads)
        source = job.work / f"{_NAME}{'_stagetwo' if _stage_two(settings) else ''}.model"
        if not source.is_file():
            raise StageError(f"teacher: mace_run_train ended without writing {source}")
        model = mace_model.load(source, settings, job.elements)
        metrics = _metrics(settings, job, sets, model) | {
            "device": device,
            "resumed_from_epoch": resumed,
            "reference_energies_eV": references,
            **({"foundation": origin} if origin else {}),
        }
        keep(job, metrics, sets, source)


def _start(
    settings: Mace, job: TrainingJob, sets: dict[str, Frames]
) -> tuple[dict[str, float], dict[str, Any]]:
    """Reference energies, and what the training starts from: nothing, or a foundation."""
    if job.foundation is None:
        return reference_energies(sets["train"], job.elements), {}
    foundation = open_foundation(job.foundation, settings, job.elements)
    references = shifted_references(foundation, sets["train"], job.elements)
    write_start(foundation, references, settings.dtype, job.work / _FOUNDATION)
    return references, describe(foundation, job.foundation, references, sets["valid"])


def _identity(settings: Mace, job: TrainingJob) -> str:
    """Digest of what decides the result: settings, data, seed, version of MACE."""
    unused = set(Mace.NETWORK) if job.foundation else set()
    return digest(
        {
            "settings": settings.model_dump(mode="json", exclude={"device"} | unused),
            "data": [digest(path.read_text()) for path in (job.train, job.valid)],
            "elements": list(job.elements),
            "seed": job.seed,
            "mace": version_of("mace-torch"),
            **({"foundation": file_digest(job.foundation)} if job.foundation else {}),
        }
    )


def _stage_two(settings: Mace) -> int:
    """First epoch of stage two, or 0 for a training without one."""
    start = max(1, round(settings.stage_two_start * settings.epochs))
    return start if start < settings.epochs else 0


def _arguments(
    settings: Mace, job: TrainingJob, references: dict[str, float], n_train: int, device: str
) -> list[str]:
    """Command line of ``mace_run_train``."""
    stage_two = _stage_two(settings)
    decay_epochs = stage_two or settings.epochs
    final_rate = min(settings.final_learning_rate, settings.learning_rate)
    # MACE drops the last incomplete batch, so a batch must not exceed the set.
    batch = min(settings.batch_size, n_train)
    options: dict[str, Any] = {
        "name": _NAME,
        "seed": job.seed,
        "work_dir": job.work.resolve(),
        "train_file": (job.work / "train.extxyz").resolve(),
        "valid_file": (job.work / "valid.extxyz").resolve(),
        "E0s": {atomic_numbers[symbol]: energy for symbol, energy in references.items()},
        "device": device,
        "default_dtype": settings.dtype,
        "model": "MACE",
        "r_max": settings.r_max,
        "num_channels": settings.channels,
        "max_L": settings.max_L,
        "max_ell": settings.max_ell,
        "correlation": settings.correlation,
        "num_interactions": settings.interactions,
        "loss": "stress",
        "compute_stress": True,
        "error_table": "PerAtomRMSEstressvirials",
        "batch_size": batch,
        "valid_batch_size": max(8, batch),
        "max_num_epochs": settings.epochs,
        "lr": settings.learning_rate,
        "scheduler": "ExponentialLR",
        "lr_scheduler_gamma": (final_rate / settings.learning_rate) ** (1 / decay_epochs),
        "ema_decay": settings.ema_decay,
        "plot": False,
    }
    for name, weight in zip(("energy", "forces", "stress"), settings.weights, strict=True):
        options[f"{name}_weight"] = weight
    flags = ["--ema", "--restart_latest", "--keep_checkpoints"]
    if stage_two:
        flags.append("--swa")
        options |= {"start_swa": stage_two, "swa_lr": final_rate}
        weights = zip(("energy", "forces", "stress"), settings.stage_two_weights, strict=True)
        options |= {f"swa_{name}_weight": weight for name, weight in weights}
    return [*flags, *(f"--{name}={value}" for name, value in options.items())]


def _metrics(
    settings: Mace, job: TrainingJob, sets: dict[str, Frames], model: MaceModel
) -> dict[str, Any]:
    return {
        "kind": "mace",
        "versions": {name: version_of(name) for name in ("mace-torch", "torch", "e3nn")},
        "seed": job.seed,
        "settings": settings.model_dump(
            mode="json", exclude=set(Mace.NETWORK) if job.foundation else None
        ),
        "n_parameters": model.n_parameters,
        "n_frames": {name: len(frames) for name, frames in sets.items()},
        **scores(sets, model.predict),
        "learning_curve": learning_curve(job.work, _stage_two(settings)),
    }
