"""One case of a training benchmark: a labelled set, a budget of DFT frames and a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from ase.data import chemical_symbols
from polymorphkd.config import merge, validate
from polymorphkd.errors import InputError
from polymorphkd.frames import Frames, write_frames
from polymorphkd.landscape import auto_cutoff, points
from polymorphkd.provenance import digest, rng
from polymorphkd.pulay import without_pulay_stress
from polymorphkd.readers import read_frames
from polymorphkd.select import run_rounds
from polymorphkd.settings import Choice, Landscape, Round, Settings

RECIPES = Path(__file__).with_name("recipes.yaml")

SELECT_STEPS = 40
"""Counts that are tried, each larger by a frame, until the grid has enough occupied cells."""

CHECK_SHARE = 0.15
"""Share of the budget on which the teacher picks its epoch; the students train on all of it."""

FEW = 30
"""Frames below which a budget spares none: the teacher, too, trains on all of them, and its check
are frames that it knows."""

LEAST = 4
"""Frames of the smallest budget."""

SETS = ("budget", "fit", "check", "rest", "pool", "test")
"""DFT frames of the budget, the two parts of them that the teacher sees, frames beyond the
budget (recipes are chosen on them), all frames but the test, and the published test set."""


@dataclass(frozen=True)
class Case:
    """A labelled set, a budget, a seed, and the folder of what is made from them."""

    data: Path
    budget: int
    seed: int
    folder: Path
    settings: Settings

    @property
    def name(self) -> str:
        """Stem of the labelled set."""
        return self.data.stem

    @property
    def elements(self) -> list[str]:
        """Chemical symbols of the set."""
        return list(self.settings.elements)

    def acting(self, *sections: str) -> dict[str, Any]:
        """Settings of some sections as far as they act here: what a result depends on."""
        return {name: acting(self.settings)[name] for name in sections}

    def path(self, name: str) -> Path:
        """File of one of `SETS`."""
        return self.folder / f"{name}.extxyz"

    def frames(self, name: str) -> Frames:
        """One of `SETS`."""
        return read_frames(self.path(name))


def acting(settings: Settings) -> dict[str, Any]:
    """Settings that decide the results of this benchmark; without keys that are not set."""
    values = settings.model_dump(mode="json", exclude_none=True)
    family = settings.teacher.section
    select = {key: value for key, value in values["select"].items() if key != "standard"}
    return {
        "teacher": {key: values["teacher"][key] for key in ("kind", "n_models", family)},
        "select": select,
        **{key: values[key] for key in ("landscape", "generate", "relabel")},
        "student": {
            **{k: v for k, v in values["student"].items() if k not in settings.student.unused},
            "scan": {},  # compared on the side
        },
        **({"pulay_virial": pulay} if (pulay := settings.split.pulay_virial) else {}),
    }


def recipe(
    name: str,
    elements: list[str],
    quick: bool,
    changes: Mapping[str, Any],
    budget: int | None = None,
) -> Settings:
    """Settings of one material: common ones, its own, those of a budget, quick ones, `changes`."""
    known = yaml.safe_load(RECIPES.read_text())
    values: dict[str, Any] = {"material": name, "elements": elements}
    for layer in ("common", name, f"{name}-{budget}"):
        values = merge(values, known.get(layer, {}))
    if quick:
        values = merge(values, known["quick"])
        scan = values["student"].get("scan", {})
        values["student"]["scan"] = {
            k: merge(v, known["quick"]["student"]) for k, v in scan.items()
        }
    return validate(merge(values, changes), str(RECIPES))


def architecture(family: str, quick: bool) -> dict[str, Any]:
    """Settings of a family of benchmarks/architectures.py that win over the material's."""
    known = yaml.safe_load(RECIPES.read_text())["architectures"]
    brief = known["quick"].get(family, {}) if quick else {}
    return merge(known.get(family, {}), brief)


def make_case(
    data: Path,
    budget: int,
    seed: int,
    work: Path,
    quick: bool = False,
    changes: Mapping[str, Any] | None = None,
    method: str = "grid",
) -> Case:
    """Draw the budget and write the sets.

    The budget is drawn on the landscape from the frames that are not of the published test.

    Parameters
    ----------
    data : path
        Frames with REF_ keys and ``split`` (train or test).
    budget : int
    seed : int
    work : path
        Parent of the case's folder.
    quick : bool
        Settings of a minute in place of those of an hour.
    changes : mapping, optional
        Settings that win over the recipe's.
    method : str
        How the budget is drawn, see :class:`polymorphkd.settings.Choice`.

    Raises
    ------
    InputError
        The set has no split, or fewer frames than the budget.
    """
    settings = recipe(data.stem, elements_of(data, budget), quick, changes or {}, budget)
    pulay = settings.split.pulay_virial
    name = f"{data.stem}-{budget}-{seed}" + ("" if method == "grid" else f"-{method}")
    name += f"{pulay:+g}eV" if pulay else ""
    case = Case(data, budget, seed, work / f"{name}-{digest(data.read_text(), 6)}", settings)
    if not case.path("test").is_file():
        frames = without_pulay_stress(read_frames(data).sorted_by_id(), pulay)
        _write_sets(case, frames, method)
    return case


def elements_of(data: Path, budget: int) -> list[str]:
    """Chemical symbols of a labelled set from which a budget can be drawn.

    Raises
    ------
    InputError
        Its frames do not say which of them are the test, or are too few for the budget, or
        the budget too small to train on.
    """
    if budget < LEAST:
        raise InputError(f"a budget of {budget} frames: at least {LEAST} are needed")
    frames = read_frames(data).sorted_by_id()
    if "split" not in frames.meta or set(frames.meta["split"]) != {"train", "test"}:
        raise InputError(f"{data}: every frame needs split=train or split=test, and both occur")
    n_training = int((frames.meta["split"] == "train").sum())
    if n_training < budget:
        raise InputError(f"{data}: {n_training} training frames, fewer than {budget}")
    return sorted({chemical_symbols[z] for z in np.unique(frames.numbers)})


def check_count(budget: int) -> int:
    """Frames of a budget on which the teacher picks its epoch."""
    return max(2, round(CHECK_SHARE * budget))


def fit_count(budget: int) -> int:
    """Frames of a budget that the teacher trains on."""
    return budget if budget < FEW else budget - check_count(budget)


def _write_sets(case: Case, frames: Frames, method: str) -> None:
    case.folder.mkdir(parents=True, exist_ok=True)
    is_test = (frames.meta["split"] == "test").to_numpy()
    pool = frames.take(np.flatnonzero(~is_test))
    random = rng(case.seed, case.name, "budget", case.budget)
    rows = draw(pool, case.budget, method, random)
    check = random.permutation(rows)[: check_count(case.budget)]
    parts = {
        "budget": rows,
        "fit": rows if fit_count(case.budget) == case.budget else np.setdiff1d(rows, check),
        "check": np.sort(check),
        "rest": np.setdiff1d(np.arange(len(pool)), rows),
        "pool": np.arange(len(pool)),
    }
    for name, chosen in parts.items():
        if len(chosen):
            write_frames(case.path(name), pool.take(chosen))
    write_frames(case.path("test"), frames.take(np.flatnonzero(is_test)))  # last: marks the end


def draw(pool: Frames, count: int, method: str, random: np.random.Generator) -> np.ndarray:
    """Rows of exactly `count` frames that a method chooses.

    The grid gives as many as it has occupied cells; it is made finer until they suffice, and
    frames too many are left out at random.
    """
    if method == "random":
        return np.sort(random.choice(len(pool), count, replace=False))
    bare = replace(pool.without_labels(), meta=pd.DataFrame())
    table = points(bare, Landscape(cutoff=auto_cutoff(bare)))
    rows = np.arange(0)
    for more in range(SELECT_STEPS):
        choice = Choice.model_validate({"method": method})
        rounds = [("budget", Round(count=count + more))]
        rows = run_rounds(table, rounds, choice, int(random.integers(2**31))).rows
        if len(rows) >= count:
            return np.sort(random.permutation(rows)[:count])
    missing = np.setdiff1d(np.arange(len(pool)), rows)  # frames alike in sS and Q6
    return np.sort(np.concatenate([rows, random.permutation(missing)[: count - len(rows)]]))
