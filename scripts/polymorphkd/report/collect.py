"""Read everything that a report may show; what this run does not have stays empty.

A stage is left out on purpose where the user brought its result (``inputs``): files that
an earlier run left in the folder are then not read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ..count import count_frames
from ..errors import InputError
from ..evaluate.models import MODELS
from ..provenance import read_json
from ..settings import Settings
from .costs import read_costs


@dataclass
class Run:
    """Results of one material.

    Parameters
    ----------
    folder : Path
        results/{material}.
    settings : Settings
    points : dict of DataFrame
        Landscape points per frame set that is part of the run.
    errors : dict
        evaluate/errors.json.
    frames, forces : dict of DataFrame
        Errors per frame and per atom, by model.
    properties : dict
        Equation of state by model, and ``dft`` where DFT was part of the run.
    records, relabel_records, targets, filling, convergence : DataFrame or None
        label/records.parquet, relabel/records.parquet, generate/targets.tsv,
        generate/filling.parquet, label/convergence.parquet.
    coverage, outcome, landscape, nve : dict or None
        select/coverage.json, generate/outcome.json, landscape/settings.json,
        deploy/dnn-kd/nve.json.
    nve_curve : DataFrame or None
        deploy/dnn-kd/nve.csv.
    teachers, students : dict
        Metrics by file stem, and by variant.
    split : dict
        Frames per set.
    costs : DataFrame
        One row per job; see :func:`costs.read_costs`.
    """

    folder: Path
    settings: Settings
    points: dict[str, pd.DataFrame]
    errors: dict[str, Any]
    frames: dict[str, pd.DataFrame]
    forces: dict[str, pd.DataFrame]
    properties: dict[str, dict[str, Any]]
    split: dict[str, int]
    costs: pd.DataFrame
    records: pd.DataFrame | None = None
    relabel_records: pd.DataFrame | None = None
    targets: pd.DataFrame | None = None
    filling: pd.DataFrame | None = None
    convergence: pd.DataFrame | None = None
    coverage: dict[str, Any] | None = None
    outcome: dict[str, Any] | None = None
    landscape: dict[str, Any] | None = None
    nve: dict[str, Any] | None = None
    nve_curve: pd.DataFrame | None = None
    teachers: dict[str, dict[str, Any]] = field(default_factory=dict)
    students: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def curves(self) -> dict[str, dict[str, Any]]:
        """Equations of state that have a minimum, and so a curve and a fit."""
        return {n: values for n, values in self.properties.items() if values["a0_A"] is not None}


def _json(path: Path) -> dict[str, Any] | None:
    try:
        return read_json(path)
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not valid JSON ({error})") from error


def _table(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",")


def _required(path: Path) -> Any:
    value = _json(path) if path.suffix == ".json" else _table(path)
    if value is None:
        raise InputError(f"{path}: no such file; the report needs the errors of every model")
    return value


def collect(folder: str | Path, settings: Settings, framesets: Sequence[str]) -> Run:
    """Read the results of one material.

    Parameters
    ----------
    folder : path
        results/{material}.
    settings : Settings
    framesets : sequence of str
        Frame sets that are part of this run (seeds, library, standard, supplementary,
        labelled), each with a landscape map.

    Raises
    ------
    InputError
        The errors of a model are missing: without them there is nothing to report.
    """
    folder = Path(folder)
    own = settings.inputs
    generated = "seeds" in framesets
    maps = {name: _table(folder / "landscape" / f"{name}.parquet") for name in framesets}
    teachers = {} if own.teacher else _metrics(sorted((folder / "teacher").glob("metrics_*.json")))
    scanned = settings.label.converge is not None and not own.labelled
    names = [*MODELS] if own.labelled else ["dft", *MODELS]
    properties = {name: _json(folder / "properties" / f"{name}.json") for name in names}
    return Run(
        folder=folder,
        settings=settings,
        points={name: table for name, table in maps.items() if table is not None},
        errors=_required(folder / "evaluate" / "errors.json"),
        frames={m: _required(folder / "evaluate" / m / "frames.parquet") for m in MODELS},
        forces={m: _required(folder / "evaluate" / m / "forces.parquet") for m in MODELS},
        properties={name: value for name, value in properties.items() if value is not None},
        split={
            path.stem: count_frames(path)
            for name in ("train", "valid", "test")
            if (path := folder / "split" / f"{name}.extxyz").is_file()
        },
        costs=read_costs(folder / "benchmarks"),
        records=None if own.labelled else _table(folder / "label" / "records.parquet"),
        relabel_records=_table(folder / "relabel" / "records.parquet"),
        targets=_table(folder / "generate" / "targets.tsv") if generated else None,
        filling=_table(folder / "generate" / "filling.parquet") if generated else None,
        convergence=_table(folder / "label" / "convergence.parquet") if scanned else None,
        coverage=_json(folder / "select" / "coverage.json") if "library" in framesets else None,
        outcome=_json(folder / "generate" / "outcome.json") if generated else None,
        landscape=_json(folder / "landscape" / "settings.json"),
        nve=_json(folder / "deploy" / "dnn-kd" / "nve.json"),
        nve_curve=_table(folder / "deploy" / "dnn-kd" / "nve.csv"),
        teachers=teachers,
        students={
            variant: value
            for variant in ("dnn", "dnn-kd")
            if (value := _json(folder / "student" / variant / "metrics.json")) is not None
        },
    )


def _metrics(paths: list[Path]) -> dict[str, dict[str, Any]]:
    return {path.stem.replace("metrics_", "model "): read_json(path) for path in paths}
