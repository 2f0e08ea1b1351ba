"""How well and how fast each strategy of the generator fills the landscape.

Parents: the 376 frames of melting Si-216 in ../shared/data/si216_melting.extxyz; 40 x 40 cells
over their box, expanded by 10 %; 20,000 mutants per strategy and seed.  Numbers go to
docs/generator.md.

    python benchmarks/generator.py [--quick] [--json FILE] [--figure FILE]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd
from ase.build import bulk
from evidence.origin import origin
from polymorphkd.frames import Frames, from_atoms
from polymorphkd.generate import Breeder, Context, make_targets, run_task
from polymorphkd.landscape import auto_cutoff, points
from polymorphkd.landscape.grid import Box, cells, coordinates, inside
from polymorphkd.provenance import write_json
from polymorphkd.readers import read_frames
from polymorphkd.settings import Generate, Landscape

sys.path.insert(0, str(Path(__file__).resolve().parent))

PARENTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "si216_melting.extxyz"
GRID = 40
NEAR_TARGET = 0.02
"""A target is reached by an individual so near, in units of the box."""

STRATEGIES = ("edges", "fill", "rattle", "random")


def settings_of(strategy: str, evaluations: int) -> Generate:
    """Settings with `evaluations` mutants in all; edges in 25 generations of 40 targets."""
    population = max(1, evaluations // (40 * 25))
    return Generate(
        strategy=strategy, evaluations=evaluations, generations=25, population=population,
        grid=GRID, patience=evaluations,
    )  # fmt: skip


def run(context: Context, targets: pd.DataFrame) -> dict[str, Any]:
    """One run of one strategy: where its individuals lie, and what it cost."""
    started = time.process_time()
    tally: dict[str, int] = {}
    tables, ids = [], []
    for _, target in targets.iterrows():
        task = run_task(context, target)
        while True:
            try:
                frames = next(task)
            except StopIteration as stop:
                for reason, count in stop.value[0].items():
                    tally[reason] = tally.get(reason, 0) + count
                break
            tables.append(frames.meta[["sS", "Q6"]].to_numpy(dtype=float))
            ids += frames.frame_ids()  # counted in the cost: a library needs them again
    spent = time.process_time() - started
    return {
        "xy": np.concatenate(tables),
        "unique": len(set(ids)) / len(ids),
        "tally": tally,
        "cpu_ms": 1e3 * spent / sum(tally.values()),
    }


def new_cells(xy: np.ndarray, seeds: np.ndarray, box: Box) -> set[tuple[int, int]]:
    """Cells of the box with an individual and without a seed."""
    known = set(map(tuple, cells(seeds, box, GRID).tolist()))
    return set(map(tuple, cells(xy[inside(xy, box)], box, GRID).tolist())) - known


def reached(xy: np.ndarray, box: Box, targets: pd.DataFrame) -> int:
    """Targets on the edges that an individual comes near to."""
    goals = box.scaled(targets[["sS", "Q6"]].to_numpy(dtype=float))
    scaled = box.scaled(xy)
    return sum(
        bool((np.linalg.norm(scaled - goal, axis=1) <= NEAR_TARGET).any()) for goal in goals
    )


def compare(seeds: Frames, evaluations: int, n_seeds: int) -> tuple[dict[str, Any], Box]:
    """All strategies from the same parents with the same number of mutants."""
    landscape = Landscape(cutoff=auto_cutoff(seeds))
    table = points(seeds, landscape)
    xy = coordinates(table)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in STRATEGIES}
    edges, box = make_targets(table, settings_of("edges", evaluations))
    for seed in range(1, n_seeds + 1):
        for name in STRATEGIES:
            settings = settings_of(name, evaluations)
            targets, _ = make_targets(table, settings)
            if name == "fill" and seed == 1:  # once to load the kernels
                small = settings_of(name, 100)
                run(Context(seeds, table, box, landscape, small, 0, "warm"), targets)
            context = Context(seeds, table, box, landscape, settings, seed, "Si")
            one = run(context, targets)
            one["cells"] = new_cells(one["xy"], xy, box)
            one["reached"] = reached(one["xy"], box, edges)
            runs[name].append(one)
            print(f"{name}, seed {seed}: {len(one['cells'])} new cells", file=sys.stderr)
    return {"runs": runs, "cutoff": landscape.cutoff, "seed_xy": xy}, box


def cost_of_large(n_mutants: int) -> float:
    """CPU ms to mutate, check and map one individual of 1,920 atoms (noisy diamond)."""
    diamond = bulk("C", "diamond", 3.567, cubic=True) * (6, 8, 5)
    parents = []
    for seed in range(2):
        parents.append(diamond.copy())
        parents[-1].rattle(0.05 + 0.1 * seed, seed=seed)
    seeds = from_atoms(parents)
    landscape = Landscape(cutoff=2.4)
    table = points(seeds, landscape)
    settings = Generate(strategy="rattle", amplitudes={"displacement": 0.05})
    _, box = make_targets(table, settings)
    breeder = Breeder(
        Context(seeds, table, box, landscape, settings, 1, "C"), np.random.default_rng(1)
    )
    samples = []
    for _ in range(max(3, n_mutants // 32)):
        chosen = breeder.founders * 16
        started = time.process_time()
        breeder.breed(chosen, breeder.genes(chosen))
        samples.append(1e3 * (time.process_time() - started) / len(chosen))
    return statistics.median(samples)


def summary(result: dict[str, Any]) -> dict[str, Any]:
    """Numbers for docs and for whoever compares."""
    runs = result["runs"]
    counts = {name: [len(one["cells"]) for one in found] for name, found in runs.items()}
    middle = {name: statistics.median(values) for name, values in counts.items()}
    union = set().union(*(one["cells"] for found in runs.values() for one in found))
    return {
        "cells_fill_over_edges": middle["fill"] / middle["edges"],
        "cells_fill_over_rattle": middle["fill"] / middle["rattle"],
        "coverage_of_reachable": middle["fill"] / len(union),
        "unique_fraction": min(one["unique"] for found in runs.values() for one in found),
        "cpu_ms_per_individual_216": statistics.median(one["cpu_ms"] for one in runs["fill"]),
        "cells_ever_reached": len(union),
        "new_cells": counts,
        "targets_reached": {n: [one["reached"] for one in found] for n, found in runs.items()},
        "outcomes": {name: found[0]["tally"] for name, found in runs.items()},
        "cpu_ms_per_individual": {
            name: statistics.median(one["cpu_ms"] for one in found) for name, found in runs.items()
        },
        "cutoff": result["cutoff"],
    }


def table(numbers: dict[str, Any]) -> str:
    """Markdown table, one row per strategy."""
    rows = [
        "| strategy | new cells (per seed) | targets reached of 40 | accepted | CPU ms each |",
        "|---|---|---|---|---|",
    ]
    for name in STRATEGIES:
        tally = numbers["outcomes"][name]
        share = tally.get("accepted", 0) / sum(tally.values())
        rows.append(
            f"| {name} | {', '.join(map(str, numbers['new_cells'][name]))} | "
            f"{', '.join(map(str, numbers['targets_reached'][name]))} | {100 * share:.0f} % | "
            f"{numbers['cpu_ms_per_individual'][name]:.2f} |"
        )
    return "\n".join(rows)


def draw(result: dict[str, Any], box: Box, path: Path) -> None:
    """Occupied cells of each strategy side by side, and cells over mutants."""
    import matplotlib.pyplot as plt
    from polymorphkd.plots.style import RC, landscape_labels

    with plt.rc_context(RC):
        figure, axes = plt.subplots(1, 4, figsize=(11.5, 3.2), layout="constrained", sharey=True)
        for one, name in zip(axes, STRATEGIES, strict=True):
            found = result["runs"][name][0]
            xy = found["xy"]
            grid = np.zeros((GRID, GRID))
            i, j = cells(xy[inside(xy, box)], box, GRID).T
            np.add.at(grid, (i, j), 1)
            shown = np.where(grid > 0, np.log10(np.maximum(grid, 1)), np.nan)
            one.pcolormesh(
                np.linspace(*box.sS, GRID + 1), np.linspace(*box.Q6, GRID + 1), shown.T,
                cmap="viridis", vmin=0, vmax=2.5, rasterized=True,
            )  # fmt: skip
            seeds = result["seed_xy"]
            one.plot(seeds[:, 0], seeds[:, 1], ".", ms=2, color="#D55E00")
            one.set_title(f"{name}: {len(found['cells'])} new cells")
            landscape_labels(one, short=True)
            one.set(xlim=box.sS, ylim=box.Q6)
        for one in axes[1:]:
            one.set_ylabel("")
        figure.savefig(path, dpi=160)


def main() -> None:
    """Measure, print the table and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2,000 mutants, one seed")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--figure", type=Path, help="draw the cells of each strategy")
    arguments = parser.parse_args()
    if not PARENTS.is_file():
        raise SystemExit(f"skipped: the reference data folder has no {PARENTS.name}")
    seeds = read_frames(PARENTS).without_labels().sorted_by_id()
    evaluations, n_seeds = (2000, 1) if arguments.quick else (20000, 3)
    result, box = compare(seeds, evaluations, n_seeds)
    numbers = summary(result)
    numbers["cpu_ms_per_individual_1920"] = cost_of_large(64 if arguments.quick else 640)
    numbers |= {
        "evaluations": evaluations,
        **origin("numba", "numpy"),
    }
    print(table(numbers))
    for key, value in numbers.items():
        if isinstance(value, int | float):
            print(f"{key}: {value:.4g}")
    if arguments.json:
        write_json(arguments.json, numbers)
    if arguments.figure:
        draw(result, box, arguments.figure)


if __name__ == "__main__":
    main()
