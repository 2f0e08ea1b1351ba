"""Teacher, supplementary frames, students and their errors in the folder of a case."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase.data import atomic_numbers, reference_states
from polymorphkd.deploy import Example
from polymorphkd.evaluate.compare import frame_table
from polymorphkd.frames import Frames, write_frames
from polymorphkd.generate_files import generate_files
from polymorphkd.landscape import points
from polymorphkd.predict import Predictor
from polymorphkd.provenance import digest, rng
from polymorphkd.readers import read_frames
from polymorphkd.select import run_rounds
from polymorphkd.student import POTENTIAL, train_student
from polymorphkd.student import TrainingJob as StudentJob
from polymorphkd.student.scan import cost as step_cost
from polymorphkd.teacher import TrainingJob, load_teacher, train_teacher
from polymorphkd.teacher.relabel import gather, relabel
from polymorphkd.teacher.walk import walk

from .case import Case
from .origin import origin
from .results import PACKAGES

TEMPLATE = Path(__file__).resolve().parents[2] / "workflow/templates/in.lammps.j2"
ATOMS_OF_CUBE = {"fcc": 4, "bcc": 2, "diamond": 8}


def teacher_folder(case: Case) -> Path:
    """Where the models of the committee and their metrics lie: 0.model, 0.json and so on."""
    return case.folder / f"teacher-{digest(case.acting('teacher'), 6)}"


def teacher(case: Case) -> Predictor:
    """Committee trained on the budget."""
    settings = case.settings.teacher
    folder = teacher_folder(case)
    models = [folder / f"{k}.model" for k in range(settings.n_models)]
    for k, model in enumerate(models):
        if not model.is_file():
            folder.mkdir(exist_ok=True)
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


def supplementary(case: Case) -> Path:
    """Frames generated from the budget alone and labelled by the teacher; a file.

    Like in the workflow, frames near a test frame on the landscape are left out.
    """
    settings = case.settings
    parts = case.acting("teacher", "landscape", "generate", "select", "relabel")
    folder = case.folder / f"supplementary-{digest(parts, 6)}"
    output = folder / "labelled.extxyz"
    if output.is_file():
        return output
    folder.mkdir(exist_ok=True)
    seeds = folder / "seeds.parquet"
    write_frames(seeds, replace(case.frames("budget").without_labels(), meta=pd.DataFrame()))
    library = folder / "library.parquet"
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
    records.to_csv(folder / "records.csv", index=False)
    write_frames(output, labelled)
    return output


def student(
    case: Case,
    train: str = "budget",
    extra: Path | None = None,
    scanned: str = "",
) -> Path:
    """File of a student of one of the DFT sets and perhaps the teacher's labels.

    `scanned` names an entry of the settings' scan. All students of a case start from the same
    seed, those of one network from the same weights.
    """
    settings = case.settings.student
    settings = (settings.scanned(scanned) if scanned else settings).model_copy(update={"scan": {}})
    taught = extra.parent.name if extra else ""
    unused = settings.unused | (set() if extra else {"dft_probability", "taught"})
    content = [settings.model_dump(mode="json", exclude_none=True, exclude=unused), train, taught]
    folder = case.folder / f"student-{digest(content, 6)}"
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
    return folder / POTENTIAL


def cost(case: Case, potential: Path) -> dict[str, Any]:
    """Cost of a step of a student in LAMMPS, one thread: us_per_atom_step, timing_atoms, origin.

    Of the element's crystal at the volume that ASE knows; the clock counts, so let nothing
    else run.
    """
    symbol = case.elements[0]
    state = reference_states[atomic_numbers[symbol]]
    volume = state["a"] ** 3 / ATOMS_OF_CUBE[state["symmetry"]]
    random = rng(case.seed, case.name, "cost", 0)
    example = Example(case.name, "student", state["symmetry"], volume, case.elements, random)
    found = step_cost(potential, TEMPLATE, example, case.settings.deploy)
    return {**found, "origin": origin("lammps")}


def errors(model: Predictor, reference: Frames) -> dict[str, Any]:
    """RMSE of energy (meV/atom), force (meV/Å) and virial (meV/atom); of each by group too.

    `frames` is how many they are, `force_median` the median of their force RMSE: a frame or two
    often decide the RMSE of all.
    """
    frames = replace(reference, meta=pd.DataFrame())
    table = frame_table(frames, model.predict(frames.without_labels()))
    found: dict[str, Any] = {
        "frames": len(table),
        **_rmse(table),
        "force_median": float(table["force_rmse"].median()),
    }
    if "group" in reference.meta:
        groups = reference.meta["group"].to_numpy()
        parts = {str(name): _rmse(part) for name, part in table.groupby(groups)}
        for quantity in ("force", "energy", "virial"):
            found[f"{quantity}_by_group"] = {name: part[quantity] for name, part in parts.items()}
    return found


def _rmse(table: pd.DataFrame) -> dict[str, float]:
    """RMSE over frames, for forces over their components."""
    squares = table["force_rmse"] ** 2 * table["n_atoms"]
    return {
        "energy": float(np.sqrt((table["energy_error"] ** 2).mean())),
        "force": float(np.sqrt(squares.sum() / table["n_atoms"].sum())),
        "virial": float(np.sqrt((table["virial_error"] ** 2).mean())),
    }


def scored(case: Case, make: Callable[[], Predictor], sets: Sequence[str]) -> dict[str, Any]:
    """Errors of a model on some sets, CPU seconds of what was made now, and its origin."""
    started = cpu_seconds()
    model = make()
    found = {key: errors(model, case.frames(key)) for key in sets if case.path(key).is_file()}
    return {**found, "cpu_seconds": cpu_seconds() - started, "origin": origin(*PACKAGES)}


def cpu_seconds() -> float:
    """CPU time of this process and of the trainings that it started and saw end, s."""
    return sum(os.times()[:4])
