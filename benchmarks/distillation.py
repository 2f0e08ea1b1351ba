"""Does the teacher's knowledge make a better student, where DFT labels are few?

From the training frames of a labelled set a budget is drawn on the landscape.  A teacher is
trained on it, frames are generated from it and labelled by the teacher, and students of one
network are trained for equally many steps: `dnn` on the budget, `dnn-kd` on the budget and the
teacher's labels, `dnn-all` on every training frame.  All are judged on the published test set.

    python benchmarks/distillation.py --data FILE.extxyz --budget 40 --seeds 3 --json OUT

--work keeps what was made, by its settings, and OUT is written after every model: a run that was
stopped goes on from there.  Several runs at once may fill the same OUT and share --work, if no two
make the same model: give each its seeds (--first-seed, --seeds) or --models.  Recipes are in
benchmarks/evidence/recipes.yaml; --set changes a key.

--scan trains `dnn-kd` again for every entry of `student.scan`, of the recipe or of --set.  --cost
times the students in LAMMPS.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

from evidence.case import Case, acting, elements_of, fit_count, make_case, recipe
from evidence.command import common_options, outcome
from evidence.results import Results, Runs, earlier, estimated, measured
from evidence.stages import cost, scored, student, supplementary, teacher, teacher_folder
from polymorphkd.config import read_yaml
from polymorphkd.errors import InputError
from polymorphkd.student import load_student

MODELS = ("teacher", "dnn", "dnn-kd", "dnn-all")
DISTILLED = "dnn-kd"
SCANNED = f"{DISTILLED} "
"""Before the name of an entry of the scan."""

QUANTITIES = {"energy": "meV/atom", "force": "meV/Å", "virial": "meV/atom"}


def student_file(case: Case, name: str) -> Path:
    """Trained student of a name, with the teacher's labels that it needs."""
    if name == "dnn-all":
        return student(case, "pool")
    if name == "dnn":
        return student(case)
    return student(case, extra=supplementary(case), scanned=name.removeprefix(DISTILLED).strip())


def run_model(case: Case, name: str) -> dict[str, Any]:
    """Errors of one of `MODELS`, or of one of the scan; what it needs is made first.

    `rest` are the training frames beyond the budget, so `dnn-all` is not judged on them; `fit`,
    `budget` and `pool` are what the teacher, a student and `dnn-all` were trained on.
    """
    started = time.time()
    if name == "teacher":
        found = scored(case, lambda: teacher(case), ("test", "rest", "fit"))
        model = teacher_folder(case) / "0.model"
    else:
        sets = ("test", "pool") if name == "dnn-all" else ("test", "rest", "budget")
        kind = case.settings.student.kind
        found = scored(case, lambda: load_student(kind, student_file(case, name)), sets)
        model = student_file(case, name)
    if model.stat().st_mtime < started:
        del found["cpu_seconds"]  # an earlier run made it, so this one does not know its cost
    return found


def gains(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Relative change of the mean test errors from dnn to dnn-kd; negative is better."""
    both = [run for run in runs.values() if {"dnn", "dnn-kd"} <= set(run)]
    if not both:
        return {}

    def mean(model: str, quantity: str) -> float:
        return statistics.fmean(run[model]["test"][quantity] for run in both)

    return {q: mean("dnn-kd", q) / mean("dnn", q) - 1 for q in QUANTITIES}


def table(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """Mean and spread over the seeds of every model's test errors, as Markdown.

    The cost of a step, µs per atom, where it was measured.
    """
    timed = any("cost" in one for run in runs.values() for one in run.values())
    head = ["model", "seeds", *(f"{q} {unit}" for q, unit in QUANTITIES.items())]
    head += ["µs per atom and step"] * timed
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    names = dict.fromkeys([*MODELS, *(name for run in runs.values() for name in run)])
    for name in names:
        found = [run[name] for run in runs.values() if name in run]
        if not found:
            continue
        cells = []
        for quantity in QUANTITIES:
            values = [one["test"][quantity] for one in found]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{statistics.fmean(values):.1f}{spread}")
        if timed:
            costs = [one["cost"]["us_per_atom_step"] for one in found if "cost" in one]
            cells.append(f"{statistics.median(costs):.0f}" if costs else "")
        lines.append(f"| {name} | {len(found)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Train, print a table and write what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="labelled set, extended XYZ")
    parser.add_argument("--budget", type=int, default=40, help="frames that DFT labelled")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 1")
    parser.add_argument("--first-seed", type=int, default=1, help="leave out those before it")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument(
        "--scan", action="store_true", help="dnn-kd of every entry of student.scan as well"
    )
    parser.add_argument(
        "--cost", action="store_true", help="time the students in LAMMPS; let nothing else run"
    )
    parser.add_argument("--set", type=Path, help="YAML file of settings that win over the recipe")
    common_options(parser)
    arguments = parser.parse_args()
    runs = outcome(arguments, estimate, run_all)
    if runs is None:
        return
    print(f"\n{table(runs)}\n\n{', '.join(commits(runs))}")
    for quantity, gain in gains(runs).items():
        print(f"dnn-kd against dnn, {quantity}: {100 * gain:+.0f} %")


def run_all(arguments: argparse.Namespace) -> Runs:
    """Every model of every seed that the file of results does not hold yet."""
    changes = own_settings(arguments)
    data, quick = arguments.data, arguments.quick
    head = heading(data, arguments.budget, quick, changes)
    results = Results(arguments.json, head, lambda runs: {"kd_against_dnn": gains(runs)})
    wanted = models(arguments)
    for seed in seeds(arguments)[: 1 if quick else None]:
        case = make_case(data, arguments.budget, seed, arguments.work, quick, changes)
        for name, differs in wanted.items():
            run = results.runs.get(str(seed), {})
            if holds(run, name, differs):
                found = run[name]
            else:
                found = {**differs, **run_model(case, name)}
                results.put(seed, name, found)
            if arguments.cost and name != "teacher" and "cost" not in found:
                found = {**found, "cost": cost(case, student_file(case, name))}
                results.put(seed, name, found)
            test = found["test"]
            numbers = ", ".join(f"{q} {test[q]:.1f} {unit}" for q, unit in QUANTITIES.items())
            print(f"{case.name}, budget {case.budget}, seed {seed}, {name}: {numbers}", flush=True)
    return results.runs


def seeds(arguments: argparse.Namespace) -> range:
    """Seeds that are asked for.

    Raises
    ------
    InputError
        There are none.
    """
    if arguments.first_seed > arguments.seeds:
        raise InputError(
            f"--first-seed {arguments.first_seed}: beyond the last one, --seeds {arguments.seeds}"
        )
    return range(arguments.first_seed, arguments.seeds + 1)


def models(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Names of what is asked for; of an entry of the scan with the keys that differ.

    Raises
    ------
    InputError
        A scan is asked for, and the settings have none.
    """
    found: dict[str, dict[str, Any]] = {name: {} for name in arguments.models}
    if not arguments.scan:
        return found
    data, changes = arguments.data, own_settings(arguments)
    settings = recipe(
        data.stem, elements_of(data, arguments.budget), arguments.quick, changes, arguments.budget
    )
    if not settings.student.scan:
        raise InputError(
            f"--scan: the recipe of {data.stem} at {arguments.budget} frames has no student.scan; "
            "name a file that has one with --set"
        )
    entries = settings.student.scan.items()
    return {**found, **{SCANNED + name: {"differs": changes} for name, changes in entries}}


def holds(run: Mapping[str, Any], name: str, differs: Mapping[str, Any]) -> bool:
    """Whether a run has the numbers of a model, with the same keys that differ."""
    return name in run and run[name].get("differs") == differs.get("differs")


def own_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Settings of the file --set."""
    return read_yaml(arguments.set) if arguments.set else {}


def heading(data: Path, budget: int, quick: bool, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What all runs of a file of results share."""
    settings = recipe(data.stem, elements_of(data, budget), quick, changes, budget)
    return {
        "data": data.name, "budget": budget, "teacher_frames": fit_count(budget), "quick": quick,
        "settings": acting(settings),
    }  # fmt: skip


def commits(runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Machines and commits that the numbers are from."""
    origins = [model["origin"] for run in runs.values() for model in run.values()]
    return sorted({f"{one['machine']}, commit {one['commit']}" for one in origins})


def estimate(arguments: argparse.Namespace) -> str:
    """What a run will take, from the CPU seconds of earlier ones, in one sentence."""
    data = arguments.data
    head = heading(data, arguments.budget, False, own_settings(arguments))
    done = earlier(arguments.json, head, "runs")
    wanted = []
    for seed in seeds(arguments):
        run = done.get(str(seed), {})
        new = [
            name for name, differs in models(arguments).items() if not holds(run, name, differs)
        ]
        if "teacher" not in {*new, *run} and any(name.startswith(DISTILLED) for name in new):
            new.append("teacher")
        wanted += new
    known = measured("distillation_*.json", data.name, head["settings"]["student"])
    return estimated(data.name, wanted, known)


if __name__ == "__main__":
    main()
