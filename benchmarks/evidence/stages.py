"""Teacher, supplementary frames, students and their errors in the folder of a case."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from polymorphkd.evaluate.compare import frame_table
from polymorphkd.frames import Frames, write_frames
from polymorphkd.generate_files import generate_files
from polymorphkd.landscape import points
from polymorphkd.predict import Predictor
from polymorphkd.provenance import rng, write_json
from polymorphkd.readers import read_frames
from polymorphkd.select import run_rounds
from polymorphkd.student import TrainingJob as StudentJob
from polymorphkd.student import load_student, train_student
from polymorphkd.teacher import TrainingJob, load_teacher, train_teacher
from polymorphkd.teacher.relabel import gather, relabel
from polymorphkd.teacher.walk import walk

from .case import Case


def teacher(case: Case) -> Predictor:
    """Committee trained on the budget."""
    settings = case.settings.teacher
    models = [case.folder / "teacher" / f"{k}.model" for k in range(settings.n_models)]
    for k, model in enumerate(models):
        if not model.is_file():
            model.parent.mkdir(exist_ok=True)
            train_teacher(
                settings,
                TrainingJob(
                    train=case.path("fit"),
                    valid=case.path("check"),
                    model=model,
                    metrics=model.with_suffix(".json"),
                    work=model.with_suffix(".work"),
                    elements=case.elements,
                    seed=int(rng(case.seed, case.name, "teacher", k).integers(2**31)),
                ),
            )
    return load_teacher(settings, models, case.elements)


def supplementary(case: Case, name: str = "supplementary") -> Path:
    """Frames generated from the budget alone and labelled by the teacher; a file.

    Like in the workflow, frames near a test frame on the landscape are left out.
    """
    output = case.folder / f"{name}.extxyz"
    if output.is_file():
        return output
    settings = case.settings
    seeds = case.folder / "seeds.parquet"
    write_frames(seeds, replace(case.frames("budget").without_labels(), meta=pd.DataFrame()))
    library = case.folder / "library.parquet"
    made = generate_files(
        [seeds], library, settings.generate, settings.landscape, case.seed, force=True
    )
    frames = read_frames(library)
    landscape = settings.landscape.model_copy(update={"cutoff": made.cutoff})
    rounds = [("supplementary", one) for one in settings.select.supplementary]
    rows = run_rounds(points(frames, landscape), rounds, settings.select, case.seed).rows
    chosen = replace(frames.take(rows), meta=pd.DataFrame())
    model = teacher(case)
    if settings.relabel.walk.steps:
        chosen = walk(chosen, model, settings.relabel, case.seed, case.name)
    labelled, records = relabel(chosen, model, settings.relabel)
    labelled, records = gather(
        [labelled], [records], case.frames("test").without_labels(), landscape,
        settings.split.duplicate_distance, made.cutoff,
    )  # fmt: skip
    records.to_csv(case.folder / f"{name}.csv", index=False)
    write_frames(output, labelled)
    return output


def student(
    case: Case,
    name: str,
    train: str = "budget",
    extra: Path | None = None,
    dft_probability: float | None = None,
) -> Predictor:
    """A student called `name`, trained on one of the DFT sets and perhaps the teacher's labels.

    All students of a case start from the same weights.
    """
    settings = case.settings.student
    if dft_probability is not None:
        settings = settings.model_copy(update={"dft_probability": dft_probability})
    folder = case.folder / name
    if not (folder / "metrics.json").is_file():
        folder.mkdir(exist_ok=True)
        train_student(
            settings,
            StudentJob(
                train=case.path(train),
                valid=case.path("check"),
                relabelled=extra,
                folder=folder,
                elements=case.elements,
                seed=int(rng(case.seed, case.name, "student", 0).integers(2**31)),
            ),
        )
    return load_student(settings.kind, folder / "model.pb")


def errors(model: Predictor, reference: Frames) -> dict[str, Any]:
    """RMSE of energy (meV/atom), force (meV/Å) and virial (meV/atom); force by group too."""
    frames = replace(reference, meta=pd.DataFrame())
    table = frame_table(frames, model.predict(frames.without_labels()))
    squares = table["force_rmse"] ** 2 * table["n_atoms"]

    def force(rows: np.ndarray) -> float:
        return float(np.sqrt(squares[rows].sum() / table["n_atoms"][rows].sum()))

    everything = np.arange(len(table))
    found: dict[str, Any] = {
        "energy": float(np.sqrt((table["energy_error"] ** 2).mean())),
        "force": force(everything),
        "virial": float(np.sqrt((table["virial_error"] ** 2).mean())),
    }
    if "group" in reference.meta:
        groups = reference.meta["group"].to_numpy()
        found["force_by_group"] = {
            str(group): force(np.flatnonzero(groups == group)) for group in np.unique(groups)
        }
    return found


def scored(case: Case, name: str, make: Callable[[], Predictor]) -> dict[str, Any]:
    """Errors of a model on the test set and beyond the budget; made once, kept as JSON."""
    path = case.folder / f"errors-{name}.json"
    if not path.is_file():
        started = cpu_seconds()
        model = make()
        found = {
            key: errors(model, case.frames(key))
            for key in ("test", "rest")
            if case.path(key).is_file()
        }
        write_json(path, {**found, "cpu_seconds": cpu_seconds() - started})
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def cpu_seconds() -> float:
    """CPU time of this process and of the trainings that it started and saw end, s."""
    return sum(os.times()[:4])
