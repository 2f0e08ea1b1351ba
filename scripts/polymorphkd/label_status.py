"""How far the labels of a material are: states, rate, time left, what fails most and why."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from .config import read_yaml
from .count import count_frames
from .errors import ConfigError
from .provenance import read_json

SCANNED_FRAMES = 3
"""Frames that label.converge labels at every setting."""

COUNTABLE = (".extxyz", ".xyz", ".parquet")
"""Files whose frames are counted without reading them."""

RATE_LABELS = 50
"""The rate of labelling is taken over this many last labels."""

ADVICE = {
    "unconverged": "more SCF steps (label.<engine>.max_scf_steps) or a wider smearing; a few "
    "strongly distorted frames may well be left out",
    "timeout": "more time per frame, or label.pools.<name>.runtime; tried again at the next run",
    "truncated": "the program died while it wrote: raise label.pools.<name>.memory or free disk; "
    "tried again at the next run",
    "crashed": "the lines of these frames in logs/label_frames say more; tried again at the next "
    "run",
    "missing": "no job finished them: run snakemake again",
    "rejected:max_force": "atoms too close: raise generate.constraints.min_distance, or the gate "
    "label.gates.max_force",
    "rejected:max_pressure": "cells too dense or too dilute: narrow seeds.volume_strains, or "
    "raise label.gates.max_pressure",
    "rejected:max_entropy": "a narrower smearing (label.<engine>.width), or raise "
    "label.gates.max_entropy",
    "rejected": "look at the frames, or widen the gate in label.gates",
}
"""What to do about a status; what is not named goes by the part before the colon."""


@dataclass(frozen=True)
class LabelState:
    """State of the labels of one material.

    Parameters
    ----------
    counts : Counter of str
        Frames by status, and ``waiting``.
    wanted : int, optional
        Frames of the standard set; None before it is selected.
    rate : float, optional
        Labels per hour over the last ones; None before there are two.
    seconds : float, optional
        Median wall time of a calculation, s.
    age : float, optional
        Seconds since the last label; None where the gather has finished.
    failure, n_failure : str, int
        The commonest failure as ``status: reason``, and how often.
    """

    counts: Counter[str]
    wanted: int | None
    rate: float | None
    seconds: float | None
    age: float | None
    failure: str
    n_failure: int

    @property
    def hours_left(self) -> float | None:
        """Time until the last label at the present rate, h; None where there is no rate."""
        return self.counts["waiting"] / self.rate if self.rate else None

    @property
    def advice(self) -> str:
        """What to do about the commonest failure."""
        status = self.failure.split(": ")[0]
        return ADVICE.get(status, ADVICE.get(status.split(":")[0], ""))


def label_files(store: Path) -> list[Path]:
    """Labels of the settings in use, the newest ones; hidden files are being written.

    A scan of settings leaves folders with its few frames, which are passed over where another
    has more.
    """
    folders = [list(path.rglob("[!.]*.json")) for path in store.glob("*") if path.is_dir()]
    many = [files for files in folders if len(files) > SCANNED_FRAMES]
    return max(many or folders, key=_newest, default=[])


def _newest(files: list[Path]) -> float:
    return max((path.stat().st_mtime for path in files), default=0.0)


def standard_set(folder: Path) -> Path | None:
    """File of the frames to label: that of the stage, else ``inputs.standard`` of the material.

    Parameters
    ----------
    folder : path
        ``results/{material}``, beside the folder ``config``.
    """
    own = folder / "select" / "standard.extxyz"
    workdir = folder.parent.parent
    for name in (f"materials/{folder.name}.yaml", "config.yaml"):
        try:
            inputs = read_yaml(workdir / "config" / name).get("inputs")
        except ConfigError:
            continue
        if isinstance(inputs, dict) and inputs.get("standard"):
            own = workdir / inputs["standard"]
            break
    return own if own.is_file() and own.suffix in COUNTABLE else None


def label_state(folder: Path) -> LabelState | None:
    """State of the labels below ``results/{material}``, or None before the first of them.

    Parameters
    ----------
    folder : path
        ``results/{material}``; its records are read where no label is newer, else its store.
    """
    total = standard_set(folder)
    wanted = count_frames(total) if total is not None else None
    records = folder / "label" / "records.parquet"
    files = label_files(folder / "label" / "store")
    # With other settings or frames the labels are made anew; the old records stay till the end.
    gathered = _newest([records]) >= _newest(files) if records.is_file() else False
    if gathered:
        table = pd.read_parquet(records)
    elif files:
        table = pd.DataFrame([_read(path) for path in files])
    else:
        return None
    counts = Counter(table["status"])
    # Records have a row for every frame, and one for frames that are equal.
    newer = total is not None and (not gathered or _newest([records]) < _newest([total]))
    if wanted is not None and newer:
        counts["waiting"] = max(0, wanted - len(table))
    reasons = table["reason"].fillna("") if "reason" in table else ""
    failures = Counter((table["status"] + ": " + reasons)[table["status"] != "ok"])
    failure, n_failure = failures.most_common(1)[0] if failures else ("", 0)
    times = sorted(path.stat().st_mtime for path in files)
    seconds = table["seconds"].median() if "seconds" in table else float("nan")
    return LabelState(
        counts=counts,
        wanted=wanted,
        rate=_rate(times[-RATE_LABELS:]),
        seconds=None if pd.isna(seconds) else float(seconds),
        age=None if gathered or not times else time.time() - times[-1],
        failure=failure.removesuffix(": "),
        n_failure=n_failure,
    )


def _rate(times: list[float]) -> float | None:
    """Labels per hour between the first and the last of `times`, s."""
    if len(times) < 2 or times[-1] == times[0]:
        return None
    return 3600 * (len(times) - 1) / (times[-1] - times[0])


def _read(path: Path) -> dict[str, Any]:
    try:
        record = read_json(path)
    except json.JSONDecodeError:
        record = {"status": "truncated", "reason": "the record is not whole"}
    return {key: record.get(key) for key in ("status", "reason", "seconds")}


def lines(state: LabelState) -> list[str]:
    """What the table of states does not show: rate, time left, failure and advice."""
    found = []
    if state.seconds is not None:
        found.append(f"a label takes {state.seconds:.1f} s (median)")
    if state.rate is not None and state.counts["waiting"]:
        hours = state.hours_left or 0.0
        left = f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"
        found.append(f"{state.rate:.0f} labels per hour, {left} left at this rate")
    if state.age is not None and state.counts["waiting"]:
        found.append(f"last label {state.age:.0f} s ago")
    if state.failure:
        found.append(f"commonest failure, {state.n_failure} times: {state.failure}")
        if state.advice:
            found.append(f"  -> {state.advice}")
    return found
