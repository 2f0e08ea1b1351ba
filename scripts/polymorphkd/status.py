"""How far the run of a material is, read from its results folder alone."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from .count import count_frames
from .label_status import label_state
from .provenance import read_json

STAGES: dict[str, tuple[str, ...]] = {
    "seeds": ("seeds/frames.parquet",),
    "landscape": ("landscape/settings.json",),
    "generate": ("generate/library.parquet",),
    "select": ("select/standard.extxyz", "select/supplementary.extxyz"),
    "label": ("label/labelled.extxyz",),
    "split": ("split/train.extxyz", "split/valid.extxyz", "split/test.extxyz"),
    "teacher": ("teacher/model_0.model",),
    "relabel": ("relabel/labelled.extxyz",),
    "student": ("student/dnn/potential.lmp", "student/dnn-kd/potential.lmp"),
    "evaluate": (
        *(f"evaluate/{model}/forces.parquet" for model in ("teacher", "dnn", "dnn-kd")),
        "evaluate/errors.json",
    ),
    "properties": tuple(f"properties/{m}.json" for m in ("dft", "teacher", "dnn", "dnn-kd")),
    "deploy": ("deploy/dnn-kd/nve.json",),
    "report": ("report.html", "summary.json"),
}
"""Files below results/{material} that a finished stage has, in the order of the chain."""

REPLACEABLE = {
    "seeds": "split",
    "generate": "split",
    "select": "split",
    "label": "split",
    "teacher": "relabel",
}
"""Stages that files of the user can replace, and the stage whose end shows that they did."""


@dataclass(frozen=True)
class Stage:
    """State of one stage: done, partly done, running, interrupted, skipped or missing."""

    name: str
    state: str
    count: str
    modified: datetime | None


def materials(results: Path) -> list[str]:
    """Materials that have a results folder."""
    return sorted(path.name for path in results.iterdir() if path.is_dir())


def started_outputs(workdir: Path) -> Iterator[str]:
    """Outputs of jobs that Snakemake started and did not see end (its own bookkeeping)."""
    folder = workdir / ".snakemake" / "incomplete"
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "migration_underway":
            encoded = "".join(part.removeprefix("@") for part in path.relative_to(folder).parts)
            yield base64.urlsafe_b64decode(encoded).decode(errors="replace")


def _expected(folder: Path) -> dict[str, tuple[str, ...]]:
    """`STAGES`, without what DFT would make where labels were brought from outside."""
    label, split = (
        all((folder / file).is_file() for file in STAGES[name]) for name in ("label", "split")
    )
    if label or not split:
        return STAGES
    return {
        name: tuple(file for file in files if file != "properties/dft.json")
        for name, files in STAGES.items()
    }


def _state(folder: Path, files: tuple[str, ...], started: list[str], locked: bool) -> str:
    present = [name for name in files if (folder / name).is_file()]
    stage = files[0].split("/")[0] + "/" if "/" in files[0] else files
    if any(name.startswith(stage) for name in started):
        return "running" if locked else "interrupted"
    if len(present) == len(files):
        return "done"
    return "partly done" if present else "missing"


def label_progress(folder: Path) -> str:
    """Labels by status, total wanted and rate, from the records or the label store."""
    state = label_state(folder)
    if state is None:
        return ""
    wanted = f" of {state.wanted}" if state.wanted is not None else ""
    failed = "".join(
        f", {n} {name}"
        for name, n in sorted(state.counts.items())
        if name not in ("ok", "waiting")
    )
    rate = "" if state.age is None or state.rate is None else f", {state.rate:.0f} per hour"
    return f"{state.counts['ok']}{wanted} labelled{failed}{rate}"


def _count(folder: Path, name: str, files: tuple[str, ...]) -> str:
    if name == "label":
        return label_progress(folder)
    if name == "evaluate":  # its tables hold errors, not frames
        return ""
    frames = [
        f"{count_frames(folder / file)} {Path(file).stem}"
        for file in files
        if Path(file).suffix in (".parquet", ".extxyz") and (folder / file).is_file()
    ]
    return ", ".join(frames)


def stages(material: str, workdir: Path = Path()) -> list[Stage]:
    """State of every stage of one material.

    Parameters
    ----------
    material : str
    workdir : path
        Folder in which Snakemake runs.
    """
    folder = workdir / "results" / material
    prefix = f"results/{material}/"
    started = [
        os.path.relpath(name, prefix)
        for name in started_outputs(workdir)
        if name.startswith(prefix)
    ]
    locked = any((workdir / ".snakemake" / "locks").glob("*.lock"))
    table = []
    for name, files in _expected(folder).items():
        times = [(folder / file).stat().st_mtime for file in files if (folder / file).is_file()]
        modified = datetime.fromtimestamp(max(times)) if times else None
        state = _state(folder, files, started, locked)
        table.append(Stage(name, state, _count(folder, name, files), modified))
    done = {stage.name for stage in table if stage.state == "done"}
    return [
        replace(stage, state="skipped")
        if stage.state == "missing" and REPLACEABLE.get(stage.name) in done
        else stage
        for stage in table
    ]


def headline(material: str, workdir: Path = Path()) -> list[str]:
    """Force RMSE and fcc properties from summary.json, or nothing before it exists."""
    path = workdir / "results" / material / "summary.json"
    try:
        summary = read_json(path)
    except (FileNotFoundError, json.JSONDecodeError):
        return []
    force = ", ".join(
        f"{model} {errors['force_meV_per_A']:.0f}" for model, errors in summary["rmse"].items()
    )
    values = ", ".join(
        f"{model} {p['a0_A']:.3f} Å {p['B0_GPa']:.0f} GPa"
        if p["a0_A"] is not None
        else f"{model} no minimum"
        for model, p in summary["properties"].items()
    )
    return [f"force RMSE on the test set (meV/Å): {force}", f"a0 and B0: {values}"]
