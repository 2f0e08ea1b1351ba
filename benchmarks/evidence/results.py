"""Files of results that grow run by run."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polymorphkd.errors import InputError

RESULTS = Path(__file__).resolve().parents[1] / "results"
"""Files that are kept."""

PACKAGES = ("gpaw", "mace-torch", "torch", "deepmd-kit", "tensorflow-cpu", "numba")
"""Their versions belong to every number of a training benchmark."""


def earlier(path: Path | None, head: Mapping[str, Any], key: str) -> dict[str, Any]:
    """What stands under `key` in a file of results.

    Parameters
    ----------
    path : Path or None
    head : mapping
        Keys and values that the file must have, so that its numbers belong to the new ones.
    key : str

    Raises
    ------
    InputError
        The file is of something else.
    """
    if path is None or not path.is_file():
        return {}
    found = json.loads(path.read_text())
    differs = [name for name in head if found.get(name) != head[name]]
    if differs:
        raise InputError(
            f"{path}: holds results of other {' and '.join(differs)}; give another name"
        )
    kept: dict[str, Any] = found[key]
    return kept


def measured(pattern: str, data: str) -> dict[str, list[float]]:
    """CPU seconds of each model of a set in the kept files of results that fit a pattern."""
    found: dict[str, list[float]] = {}
    for path in sorted(RESULTS.glob(pattern)):
        content = json.loads(path.read_text())
        if content["data"] == data and not content["quick"]:
            for run in content["runs"].values():
                for name, numbers in run.items():
                    if "cpu_seconds" in numbers:  # absent where a run went on from pieces
                        found.setdefault(name, []).append(numbers["cpu_seconds"])
    return found


def estimated(data: str, wanted: Sequence[str], known: Mapping[str, Sequence[float]]) -> str:
    """What the models that are wanted will take, by those of the same name, in one sentence."""
    if not wanted:
        return f"{data}: nothing is left to do"
    costs = {name: known.get(name) or known.get(name.partition(" ")[0]) for name in wanted}
    hours = sum(statistics.fmean(costs[name] or [0.0]) for name in wanted) / 3600
    text = f"{data}: {len(wanted)} trainings and what they need, {hours:.1f} core hours"
    unknown = sorted(name for name, cost in costs.items() if not cost)
    return text + (f", and those of {', '.join(unknown)} (never measured)" if unknown else "")
