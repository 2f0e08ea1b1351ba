"""DeePMD-kit se_e2_a students on the TensorFlow backend (Zhang et al., NeurIPS 2018).

TensorFlow, because its models run in LAMMPS from a plain pip environment and train at
half the cost of the PyTorch backend on a CPU.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from pathlib import Path

import numpy as np

from ..deepmd.data import LABELS, largest_neighbour_counts, sel_from_counts, write_systems
from ..deepmd.predictor import DeepmdPredictor, Room
from ..errors import EngineError, StageError
from ..frames import Frames, concatenate
from ..predict import labels_of
from ..processes import claimed
from ..progress import logger
from ..provenance import atomic_path, digest, version_of, write_json
from ..settings import Deepmd, Student
from ..teacher.scores import rmse
from ..teacher.training import naming_suspects, warn_if_useless
from . import ALGORITHM_VERSION
from .curve import FINE_TUNE, student_curve
from .deepmd_input import training_input
from .deepmd_process import freeze_and_compress, run_training
from .potential import write_potential
from .training import TrainingJob, digests, limits_of_validity, warn_of_absent

MODEL = "model.pb"
"""File that :func:`load` opens and LAMMPS reads."""

COMPRESSION_TOLERANCE = 5e-3
"""Largest force difference between compressed and frozen model, eV/Å."""


def load(model: Path) -> DeepmdPredictor:
    """A frozen or compressed DeePMD model.

    Raises
    ------
    EngineError
        The file is not a model that this DeePMD-kit reads.
    """
    if not model.is_file():
        raise EngineError(f"{model}: no such file")
    # Read by deepmd and TensorFlow when they are imported; unset means all cores,
    # which is ten times slower when they are shared.
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", threads)
    os.environ.setdefault("DP_INTRA_OP_PARALLELISM_THREADS", threads)
    os.environ.setdefault("DP_INTER_OP_PARALLELISM_THREADS", threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from google.protobuf.message import DecodeError

    try:
        model.open("rb").close()  # what TensorFlow cannot open is an error of its own
        from deepmd.infer import DeepPot

        potential = DeepPot(str(model))
        descriptor = potential.deep_eval.get_model_def_script().get("descriptor", {})
        return DeepmdPredictor(potential, Room.of_descriptor(descriptor))
    except (
        DecodeError,  # no graph, or cut off
        KeyError,  # a graph, but of no model
        RuntimeError,  # of another version
        ValueError,  # a suffix of no backend
        ImportError,  # a backend that is not installed
        OSError,
    ) as error:
        raise EngineError(f"{model}: cannot be loaded as a DeePMD model ({error})") from error


def train(settings: Student, job: TrainingJob) -> None:
    """Train one student; see `student.train_student`."""
    started = time.monotonic()
    sets = job.read_sets()
    seen = concatenate([sets["dft"], sets["teacher"]])
    counts, shortest = largest_neighbour_counts(seen, job.elements, settings.deepmd.rcut)
    sel = sel_from_counts(counts)
    logger.info(
        "%d frames of DFT, %d of the teacher; at most %s neighbours within %g Å, sel %s",
        len(sets["dft"]),
        len(sets["teacher"]),
        counts,
        settings.deepmd.rcut,
        sel,
    )
    warn_of_absent(seen, job.elements)
    work = job.folder / "work"
    with claimed(work, _identity(settings, job, sel, sets)):
        _prepare(settings, job, sel, sets, work)
        with naming_suspects(seen):
            resumed, last = _run(settings.deepmd, work, job.threads)
        frozen, compressed = freeze_and_compress(last, job.threads)
        compression = _compare(frozen, compressed, seen)
        model = load(compressed)
        errors = {
            name: rmse(part, model.predict(part)) for name, part in sets.items() if len(part)
        }
        shown = {name: value and round(value, 2) for name, value in errors["valid"].items()}
        logger.info("validation RMSE %s", shown)
        warn_if_useless(errors["valid"], sets["valid"], seen)
        metrics = {
            "kind": "deepmd",
            "variant": job.variant,
            "seed": job.seed,
            "steps": settings.deepmd.steps,
            "fine_tune_steps": settings.deepmd.fine_tune_steps,
            "resumed_from_step": resumed,
            "seconds": round(time.monotonic() - started, 1),
            "sel": sel,
            "taught": settings.taught if job.relabelled else [],
            "frames": {name: len(part) for name, part in sets.items()},
            "seen": limits_of_validity(seen, shortest),
            "rmse": errors,
            "compression": compression,
            # NaN where a batch had no virial, which JSON does not know.
            "learning_curve": {
                name: [value if math.isfinite(value) else None for value in values]
                for name, values in student_curve(work).items()
            },
            "versions": {name: version_of(name) for name in ("deepmd-kit", "tensorflow-cpu")},
        }
        for source, name in ((frozen, "frozen.pb"), (compressed, MODEL)):
            with atomic_path(job.folder / name) as path:
                shutil.copyfile(source, path)
        write_potential(job.folder, "deepmd", [MODEL], job.elements)
        write_json(job.folder / "metrics.json", metrics)


def _identity(settings: Student, job: TrainingJob, sel: list[int], sets: dict[str, Frames]) -> str:
    """Digest of all that decides the result; a killed training goes on only if it is equal."""
    frames = digests(sets)
    mixing = [settings.dft_probability, settings.taught] if job.relabelled else None
    network = settings.deepmd.model_dump(mode="json")
    return digest([ALGORITHM_VERSION, network, mixing, list(job.elements), sel, job.seed, frames])


def _prepare(
    settings: Student, job: TrainingJob, sel: list[int], sets: dict[str, Frames], work: Path
) -> None:
    """Write DeePMD's data and the ``input.json`` of each run, with paths relative to it."""
    data = work / "data"
    shutil.rmtree(data, ignore_errors=True)
    labels = {"teacher": settings.taught}
    systems = {
        name: write_systems(part, job.elements, data / name, labels.get(name, LABELS))
        for name, part in sets.items()
    }
    runs = [(work, systems)]
    if settings.deepmd.fine_tune_steps:
        runs.append((work / FINE_TUNE, {**systems, "teacher": []}))
    for folder, seen in runs:
        folder.mkdir(exist_ok=True)
        relative = {
            name: [Path(os.path.relpath(path, folder)) for path in paths]
            for name, paths in seen.items()
        }
        content = training_input(
            settings.deepmd,
            job.elements,
            sel,
            job.seed,
            relative,
            settings.dft_probability,
            fine_tune=folder != work,
        )
        write_json(folder / "input.json", content)


def _run(settings: Deepmd, work: Path, threads: int) -> tuple[int, Path]:
    """Train, then fine-tune where steps are given for that.

    Returns
    -------
    int
        Step from which a killed training went on.
    Path
        Folder of the last run.
    """
    resumed = run_training(work, settings.steps, threads)
    if not settings.fine_tune_steps:
        return resumed, work
    folder = work / FINE_TUNE
    resumed += run_training(folder, settings.fine_tune_steps, threads, weights=work)
    return resumed, folder


def _compare(frozen: Path, compressed: Path, frames: Frames) -> dict[str, float]:
    """Largest differences that compression made.

    Raises
    ------
    StageError
        Forces differ by more than `COMPRESSION_TOLERANCE`.
    """
    before, after = (labels_of(load(path).predict(frames)) for path in (frozen, compressed))
    energy, force, stress = (
        float(np.abs(new - old).max()) for new, old in zip(after, before, strict=True)
    )
    if not force <= COMPRESSION_TOLERANCE:
        raise StageError(
            f"student: compression changed a force by {force:.2g} eV/Å, more than "
            f"{COMPRESSION_TOLERANCE:g}; the frozen model is {frozen}"
        )
    return {
        "max_energy_difference_eV": energy,
        "max_force_difference_eV_per_A": force,
        "max_stress_difference_eV_per_A3": stress,
        "force_tolerance_eV_per_A": COMPRESSION_TOLERANCE,
    }
