"""Which architecture learns most from the same frames?

From the training frames of a labelled set a budget is drawn on the landscape, as in
distillation.py.  MACE, NequIP, DPA-3 and the descriptor network DPMD (se_e2_a, the student's)
train on the same frames of it, and all are judged on the published test set.

    python benchmarks/architectures.py --data FILE.extxyz --budget 40 --json OUT

Every family has its own schedule: MACE that of its material, with its best epoch; DPMD the
student's, of many more and cheaper steps; NequIP and DPA-3 as many steps as stand in the recipe,
with loss weights that were not tuned.  So the table compares what a core reaches in about half an
hour, not what an architecture can reach.  NequIP and DPA-3 need the environment of `make
env-teachers`.  --work keeps what was made, by its
settings, and OUT is written after every model: a run that was stopped goes on from there.
Settings: `architectures` of benchmarks/evidence/recipes.yaml beside those of the material.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

from evidence.case import Case, acting, architecture, elements_of, fit_count, make_case, recipe
from evidence.command import common_options, outcome
from evidence.results import Results, Runs, earlier, estimated, measured
from evidence.stages import scored, student, teacher, teacher_folder
from polymorphkd.provenance import read_json
from polymorphkd.student import load_student
from polymorphkd.teacher import check_teacher

FAMILIES = {"mace": "MACE", "nequip": "NequIP", "dpa": "DPA-3", "dpmd": "DPMD (se_e2_a)"}
QUANTITIES = {"energy": "meV/atom", "force": "meV/Å", "virial": "meV/atom"}


def main() -> None:
    """Train, print a table and write what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="labelled set, extended XYZ")
    parser.add_argument("--budget", type=int, default=40, help="frames that DFT labelled")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from 1")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    common_options(parser)
    arguments = parser.parse_args()
    runs = outcome(arguments, estimate, run_all)
    if runs is None:
        return
    print(f"\n{table(runs)}")


def run_all(arguments: argparse.Namespace) -> Runs:
    """Every family of every seed that the file of results does not hold yet."""
    data, quick = arguments.data, arguments.quick
    head = heading(data, arguments.budget, quick)
    results = Results(arguments.json, head)
    check_environments(arguments)
    for seed in range(1, (1 if quick else arguments.seeds) + 1):
        for family in arguments.families:
            if family not in results.runs.get(str(seed), {}):
                changes = architecture(family, quick)
                case = make_case(data, arguments.budget, seed, arguments.work, quick, changes)
                results.put(seed, family, judged(case, family))
            test = results.runs[str(seed)][family]["test"]
            numbers = ", ".join(f"{q} {test[q]:.1f} {unit}" for q, unit in QUANTITIES.items())
            print(f"{data.stem}, seed {seed}, {FAMILIES[family]}: {numbers}", flush=True)
    return results.runs


def check_environments(arguments: argparse.Namespace) -> None:
    """Raise EngineError before any training if a family's environment is absent."""
    data, quick = arguments.data, arguments.quick
    for family in arguments.families:
        if family != "dpmd":
            changes = architecture(family, quick)
            settings = recipe(
                data.stem, elements_of(data, arguments.budget), quick, changes, arguments.budget
            )
            check_teacher(settings.teacher, [], settings.elements)


def heading(data: Path, budget: int, quick: bool) -> dict[str, Any]:
    """What all runs of a file of results share; of each family the settings that act."""
    elements = elements_of(data, budget)
    settings = {
        name: acting(recipe(data.stem, elements, quick, architecture(name, quick), budget))
        for name in FAMILIES
    }
    return {
        "data": data.name, "budget": budget, "frames": fit_count(budget), "quick": quick,
        "settings": {
            name: {"student": one["student"]} if name == "dpmd" else {"teacher": one["teacher"]}
            for name, one in settings.items()
        },
    }  # fmt: skip


def judged(case: Case, family: str) -> dict[str, Any]:
    """Errors of a family on the test, on frames beyond the budget and on its own.

    The descriptor network, too, trains on the frames of the others alone: `fit`.
    """
    if family == "dpmd":
        kind = case.settings.student.kind
        return scored(case, lambda: load_student(kind, student(case, "fit")), SETS)
    metrics = teacher_folder(case) / "0.json"
    trained_before = metrics.is_file()
    found = scored(case, lambda: teacher(case), SETS)
    if trained_before:
        del found["cpu_seconds"]
    found["origin"]["versions"] |= read_json(metrics)["versions"]  # of the environment it ran in
    return found


def estimate(arguments: argparse.Namespace) -> str:
    """What a run will take, from the CPU seconds of earlier ones, in one sentence."""
    data = arguments.data.name
    done = earlier(arguments.json, heading(arguments.data, arguments.budget, False), "runs")
    wanted = [
        family
        for seed in range(1, arguments.seeds + 1)
        for family in arguments.families
        if family not in done.get(str(seed), {})
    ]
    return estimated(data, wanted, measured("architectures_*.json", data))


SETS = ("test", "rest", "fit")


def table(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """Mean and spread over the seeds of every family's test errors, as Markdown."""
    units = [f"{q} {unit}" for q, unit in QUANTITIES.items()]
    head = ["", "seeds", *units, "force, own frames", "training, CPU min"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for family, name in FAMILIES.items():
        found = [run[family] for run in runs.values() if family in run]
        if not found:
            continue
        columns = [[one["test"][q] for one in found] for q in QUANTITIES]
        columns += [[one["fit"]["force"] for one in found]]
        columns += [[one["cpu_seconds"] / 60 for one in found if "cpu_seconds" in one]]
        lines.append(f"| {name} | {len(found)} | {' | '.join(map(spread, columns))} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Mean, and standard deviation where there are several; nothing of no values."""
    if not values:
        return ""
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.1f}{deviation}"


if __name__ == "__main__":
    main()
