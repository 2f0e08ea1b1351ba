"""Does the teacher's knowledge make a better student, where DFT labels are few?

From the training frames of a labelled set a budget is drawn on the landscape.  A teacher is
trained on it, frames are generated from it and labelled by the teacher, and students of one
network are trained for equally many steps: `dnn` on the budget, `dnn-kd` on the budget and the
teacher's labels, `dnn-all` on every training frame.  All are judged on the published test set.

    python benchmarks/distillation.py --data FILE.extxyz --budget 40 --seeds 3 --json OUT

--work keeps what was made, and OUT is written after every model: a run that was stopped goes on
from there.  Recipes are in benchmarks/evidence/recipes.yaml; --set changes a key.

--shares trains `dnn-kd` again with other shares of its steps on DFT frames.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import yaml
from evidence.case import Case, make_case
from evidence.stages import scored, student, supplementary, teacher
from landscape import commit, cpu
from polymorphkd.provenance import version_of, write_json

MODELS = ("teacher", "dnn", "dnn-kd", "dnn-all")
DISTILLED = "dnn-kd"
SHARE = f"{DISTILLED}-"
RESULTS = Path(__file__).resolve().parent / "results"
QUANTITIES = {"energy": "meV/atom", "force": "meV/Å", "virial": "meV/atom"}


def run_model(case: Case, name: str) -> dict[str, Any]:
    """Errors of one of `MODELS`, or of one with another share; what it needs is made first."""
    if name == "teacher":
        return scored(case, name, lambda: teacher(case))
    if name.startswith(DISTILLED):
        share = float(name.removeprefix(SHARE)) if name.startswith(SHARE) else None
        return scored(
            case,
            name,
            lambda: student(case, name, extra=supplementary(case), dft_probability=share),
        )
    return scored(
        case, name, lambda: student(case, name, "pool" if name == "dnn-all" else "budget")
    )


def gains(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Relative change of the mean test errors from dnn to dnn-kd; negative is better."""
    both = [run for run in runs.values() if {"dnn", "dnn-kd"} <= set(run)]
    if not both:
        return {}

    def mean(model: str, quantity: str) -> float:
        return statistics.fmean(run[model]["test"][quantity] for run in both)

    return {q: mean("dnn-kd", q) / mean("dnn", q) - 1 for q in QUANTITIES}


def table(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """Mean and spread over the seeds of every model's test errors, as Markdown."""
    lines = ["| model | seeds | energy meV/atom | force meV/Å | virial meV/atom |"]
    lines.append("|---|---|---|---|---|")
    known = {name: None for name in MODELS} | {name: None for run in runs.values() for name in run}
    for name in known:
        found = [run[name]["test"] for run in runs.values() if name in run]
        if not found:
            continue
        cells = []
        for quantity in QUANTITIES:
            values = [one[quantity] for one in found]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{statistics.fmean(values):.1f}{spread}")
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
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[], help="other values of dft_probability"
    )
    parser.add_argument("--work", type=Path, default=Path("results/evidence"), help="folder")
    parser.add_argument("--set", type=Path, help="YAML file of settings that win over the recipe")
    parser.add_argument("--estimate", action="store_true", help="only say how long it will take")
    parser.add_argument("--quick", action="store_true", help="minutes: shows that it runs")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    arguments = parser.parse_args()
    if not all(0 < share < 1 for share in arguments.shares):
        parser.error("--shares: expected numbers between 0 and 1")
    if arguments.estimate:
        print(estimate(arguments.data, arguments.seeds, arguments.models, arguments.json))
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    changes = yaml.safe_load(arguments.set.read_text()) if arguments.set else {}
    runs: dict[str, dict[str, Any]] = {}
    kept: dict[str, dict[str, Any]] | None = None
    for seed in range(1, (1 if arguments.quick else arguments.seeds) + 1):
        case = make_case(
            arguments.data, arguments.budget, seed, arguments.work, arguments.quick, changes
        )
        if kept is None:
            kept = earlier(arguments.json, case, arguments.quick)
        run = runs.setdefault(str(seed), kept.get(str(seed), {}))
        for name in [*arguments.models, *(f"{SHARE}{share:g}" for share in arguments.shares)]:
            if name not in run:
                run[name] = run_model(case, name)
            test = run[name]["test"]
            numbers = ", ".join(f"{q} {test[q]:.1f} {unit}" for q, unit in QUANTITIES.items())
            print(f"{case.name}, budget {case.budget}, seed {seed}, {name}: {numbers}", flush=True)
            if arguments.json:
                write_json(arguments.json, report(case, runs, arguments.quick))
    print(f"\n{table(runs)}\n")
    for quantity, gain in gains(runs).items():
        print(f"dnn-kd against dnn, {quantity}: {100 * gain:+.0f} %")


def earlier(path: Path | None, case: Case, quick: bool) -> dict[str, dict[str, Any]]:
    """Runs in a file of results, if they were made with the same data and settings."""
    if path is None or not path.is_file():
        return {}
    found = json.loads(path.read_text())
    now = report(case, {}, quick)
    if any(found.get(key) != now[key] for key in ("data", "budget", "quick", "settings")):
        raise SystemExit(f"{path}: holds results of other data or settings; give another name")
    runs: dict[str, dict[str, Any]] = found["runs"]
    return runs


def estimate(data: Path, seeds: int, models: Sequence[str], output: Path | None) -> str:
    """What a run will take, from the CPU seconds of earlier ones, in one sentence."""
    known: dict[str, list[float]] = {}
    for path in sorted(RESULTS.glob("distillation_*.json")):
        found = json.loads(path.read_text())
        if found["data"] == data.name and not found["quick"]:
            for run in found["runs"].values():
                for name, numbers in run.items():
                    if "cpu_seconds" in numbers:
                        known.setdefault(name, []).append(numbers["cpu_seconds"])
    done = json.loads(output.read_text())["runs"] if output and output.is_file() else {}
    wanted = [
        m for seed in range(1, seeds + 1) for m in models if m not in done.get(str(seed), {})
    ]
    if not wanted:
        return f"{data.name}: nothing is left to do"
    unknown = sorted(set(wanted) - set(known))
    hours = sum(statistics.fmean(known[name]) for name in wanted if name in known) / 3600
    text = f"{data.name}: {len(wanted)} trainings with their labels, {hours:.1f} core hours"
    return text + (f", and those of {', '.join(unknown)} (never measured)" if unknown else "")


def report(case: Case, runs: Mapping[str, Mapping[str, Any]], quick: bool) -> dict[str, Any]:
    """All numbers with what they were made with."""
    settings = case.settings.model_dump(mode="json")
    return {
        "data": case.data.name,
        "budget": case.budget,
        "quick": quick,
        "runs": runs,
        "kd_against_dnn": gains(runs),
        "settings": {
            key: settings[key] for key in ("teacher", "generate", "select", "relabel", "student")
        },
        "machine": f"{cpu()}, Python {platform.python_version()}",
        "versions": {
            name: version_of(name)
            for name in ("mace-torch", "torch", "deepmd-kit", "tensorflow-cpu", "numba")
        },
        "commit": commit(),
    }


if __name__ == "__main__":
    main()
