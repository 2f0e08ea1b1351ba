"""One training of MACE from its command line to a model that has been judged."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ase.data import atomic_numbers

from ..errors import StageError
from ..frames import Frames
from ..settings import Mace
from . import mace_model, mace_process
from .scores import scores
from .training import TrainingJob

START = "start.model"
"""Model in the folder of a training that it starts from; without it from random weights."""

WORSE = 1.2
"""Ratio of validation force errors beyond which a restart has spoilt the model."""

_NAME = "teacher"
_DONE = "trained.model"


@dataclass(frozen=True)
class Trained:
    """A model as a training left it.

    Parameters
    ----------
    file : Path
    n_parameters : int
    scores : dict
        See :func:`.scores.scores`.
    resumed : int
        Epoch from which the training went on after a kill, 0 if it had not begun.
    """

    file: Path
    n_parameters: int
    scores: dict[str, Any]
    resumed: int

    def improves(self, before: Trained) -> bool:
        """Whether it learned more frames, by the same limit, and still predicts the others.

        Errors that are no numbers are no improvement.
        """
        force, force_before = (one.scores["valid"]["force_meV_per_A"] for one in (self, before))
        fewer = len(self.scores["unlearned"]) < len(before.scores["unlearned"])
        return fewer and bool(force <= WORSE * force_before)


@dataclass(frozen=True)
class MaceTraining:
    """What the trainings of one model share.

    Parameters
    ----------
    settings : Mace
    job : TrainingJob
        Its working folder holds train.extxyz and valid.extxyz.
    sets : mapping
        The frames of these files, by ``train`` and ``valid``.
    references : mapping
        Energy (eV) of an isolated atom for each element.
    device : str
    """

    settings: Mace
    job: TrainingJob
    sets: Mapping[str, Frames]
    references: Mapping[str, float]
    device: str

    def run(self, folder: Path, limit: float | None = None) -> Trained:
        """Train in a folder, or take what was trained there before the job was killed.

        `limit` is that of :func:`.scores.unlearned`.
        """
        done, resumed = folder / _DONE, self.settings.epochs
        if not (done.is_file() and mace_process.whole(done)):
            arguments = _arguments(self, folder)
            resumed = mace_process.run(arguments, folder, self.settings.epochs, self.job.threads)
            suffix = "_stagetwo" if stage_two(self.settings) else ""
            written = folder / f"{_NAME}{suffix}.model"
            if not written.is_file():
                raise StageError(f"teacher: mace_run_train ended without writing {written}")
            os.replace(written, done)
        model = mace_model.load(done, self.settings, self.job.elements)
        found = scores(self.sets, model.predict, limit)
        n_parameters = model.n_parameters
        del model
        if torch.cuda.is_available():  # a restart, another process, needs the memory
            torch.cuda.empty_cache()
        return Trained(done, n_parameters, found, resumed)


def stage_two(settings: Mace) -> int:
    """First epoch of stage two, or 0 for a training without one."""
    start = max(1, round(settings.stage_two_start * settings.epochs))
    return start if start < settings.epochs else 0


def _arguments(training: MaceTraining, folder: Path) -> list[str]:
    """Command line of ``mace_run_train``."""
    settings, job = training.settings, training.job
    second = stage_two(settings)
    decay_epochs = second or settings.epochs
    final_rate = min(settings.final_learning_rate, settings.learning_rate)
    # MACE drops the last incomplete batch, so a batch must not exceed the set.
    batch = min(settings.batch_size, len(training.sets["train"]))
    options: dict[str, Any] = {
        "name": _NAME,
        "seed": job.seed,
        "work_dir": folder.resolve(),
        "train_file": (job.work / "train.extxyz").resolve(),
        "valid_file": (job.work / "valid.extxyz").resolve(),
        "E0s": {atomic_numbers[symbol]: energy for symbol, energy in training.references.items()},
        "device": training.device,
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
    if second:
        flags.append("--swa")
        options |= {"start_swa": second, "swa_lr": final_rate}
        weights = zip(("energy", "forces", "stress"), settings.stage_two_weights, strict=True)
        options |= {f"swa_{name}_weight": weight for name, weight in weights}
    if (folder / START).is_file():
        options |= {
            "foundation_model": (folder / START).resolve(),
            "multiheads_finetuning": False,
        }
    return [*flags, *(f"--{name}={value}" for name, value in options.items())]
