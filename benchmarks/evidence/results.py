"""Files of results that grow run by run."""

from __future__ import annotations

import fcntl
import json
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polymorphkd.errors import InputError
from polymorphkd.provenance import write_json

RESULTS = Path(__file__).resolve().parents[1] / "results"
"""Files that are kept."""

Runs = dict[str, dict[str, Any]]
"""By seed and name of the model."""

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
        The file is of something else, or damaged.
    """
    if path is None or not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); mend it or remove it") from error
    differs = [name for name in head if found.get(name) != head[name]]
    if differs:
        raise InputError(
            f"{path}: holds results of other {' and '.join(differs)}; give another name"
        )
    kept: dict[str, Any] = found[key]
    return kept


class Results:
    """Numbers of the models of every seed, in a file that several runs may fill at once.

    Parameters
    ----------
    path : Path or None
        None keeps them in memory alone.
    head : mapping
        See :func:`earlier`.
    summary : callable, optional
        Further keys of the file, made from all of its runs.
    """

    def __init__(
        self,
        path: Path | None,
        head: Mapping[str, Any],
        summary: Callable[[Runs], Mapping[str, Any]] = lambda runs: {},
    ) -> None:
        self._path, self._head, self._summary = path, head, summary
        self.runs: Runs = earlier(path, head, "runs")

    def put(self, seed: int, name: str, numbers: dict[str, Any]) -> None:
        """Add the numbers of a model, or replace them; what other runs added is read as well."""
        if self._path is None:
            self.runs.setdefault(str(seed), {})[name] = numbers
            return
        with _locked(self._path.parent):
            self.runs = earlier(self._path, self._head, "runs")
            self.runs.setdefault(str(seed), {})[name] = numbers
            self.runs = {key: self.runs[key] for key in sorted(self.runs, key=int)}
            more = self._summary(self.runs)
            write_json(self._path, {**self._head, "runs": self.runs, **more})


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until no other run writes results into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def measured(
    pattern: str, data: str, student: Mapping[str, Any] | None = None
) -> dict[str, list[float]]:
    """CPU seconds of each model of a set in the kept files of results that fit a pattern.

    Parameters
    ----------
    pattern : str
    data : str
        Name of the file of the set.
    student : mapping, optional
        Settings of the students wanted: those of another family or size do not count.
    """
    found: dict[str, list[float]] = {}
    for path in sorted(RESULTS.glob(pattern)):
        content = json.loads(path.read_text())
        if content["data"] == data and not content["quick"]:
            kept = content.get("settings", {}).get("student", {})
            other = student and any(kept.get(k) != student.get(k) for k in ("kind", "size"))
            for run in content["runs"].values():
                for name, numbers in run.items():
                    if other and name != "teacher":
                        continue
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
