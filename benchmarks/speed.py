"""Seconds per atom and step of DFT, teacher and student, on one core, from one run.

A finished run (--results results/<Material>) brings the engine's settings, the teacher and the
compressed student.  The crystal of its equation of state is repeated, rattled by 0.05 Å, and
computed at the sizes that each can do; the cost at 108 atoms, the paper's cell, follows from a
power law through the largest sizes measured.  DFT counts a whole static calculation as a step, as
labels are made; the teacher one prediction; the student a step of MD in LAMMPS.

    python benchmarks/speed.py --results results/Al [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from ase import Atoms
from evidence.origin import origin
from evidence.stages import cpu_seconds
from polymorphkd.config import load_settings, read_yaml
from polymorphkd.deploy import Example, write_example
from polymorphkd.deploy.lammps import measure_cost
from polymorphkd.frames import from_atoms
from polymorphkd.label import make_engine
from polymorphkd.provenance import read_json, rng, write_json
from polymorphkd.seeds.prototypes import prototype
from polymorphkd.settings import Settings
from polymorphkd.student import POTENTIAL, copy_potential
from polymorphkd.teacher import load_teacher

ROOT = Path(__file__).resolve().parents[1]
PAPER = 108
"""Atoms of the paper's cells."""

SIZES = {"dft": (4, 8, 16, 32), "teacher": (4, 32, 108, 256), "student": (108, 500, 4000)}
QUICK = {"dft": (4,), "teacher": (4, 32), "student": (108,)}
RATTLE = 0.05


def crystal(results: Path, settings: Settings, n_atoms: int) -> Atoms:
    """Rattled supercell of about `n_atoms` atoms at the student's equilibrium volume."""
    found = read_json(results / "properties" / "dnn-kd.json")
    cell = prototype(found["structure"], settings.elements[0], found["V0_A3_per_atom"])
    copies = [1, 1, 1]
    while len(cell) * np.prod(copies) < n_atoms:
        copies[copies.index(min(copies))] += 1
    atoms = cell.repeat(copies)
    atoms.positions += rng(1, "speed", "rattle", n_atoms).normal(0, RATTLE, (len(atoms), 3))
    return atoms


def spent(work: Callable[[], Any], least: float) -> float:
    """Median CPU time of one call, s, with the programs that it starts; called again until
    `least` seconds are spent.
    """
    times: list[float] = []
    while sum(times) < least:
        started = cpu_seconds()
        work()
        times.append(cpu_seconds() - started)
    return float(np.median(times))


def dft(results: Path, settings: Settings, sizes: Sequence[int]) -> list[dict[str, float]]:
    """Whole static calculations by the engine of the run."""
    engine = make_engine(settings.label)
    rows = []
    for n in sizes:
        atoms = crystal(results, settings, n)
        verdict: list[str] = []
        seconds = spent(lambda a=atoms, v=verdict: v.append(engine.calculate(a).status), 0.1)
        if set(verdict) != {"ok"}:
            raise SystemExit(f"DFT of {len(atoms)} atoms: {verdict[0]}")
        rows.append({"n_atoms": len(atoms), "us_per_atom_step": 1e6 * seconds / len(atoms)})
        print("dft", rows[-1], flush=True)
    return rows


def teacher(results: Path, settings: Settings, sizes: Sequence[int]) -> list[dict[str, float]]:
    """Predictions of one frame each."""
    single = replace_models(settings)
    model = load_teacher(single.teacher, [results / "teacher" / "model_0.model"])
    rows = []
    for n in sizes:
        frames = from_atoms([crystal(results, settings, n)])
        model.predict(frames)  # compiled on first use
        seconds = spent(lambda f=frames: model.predict(f), 2.0)
        size = int(frames.n_atoms[0])
        rows.append({"n_atoms": size, "us_per_atom_step": 1e6 * seconds / size})
        print("teacher", rows[-1], flush=True)
    return rows


def replace_models(settings: Settings) -> Settings:
    """Settings with one teacher: a committee costs as many times as much."""
    return settings.model_copy(
        update={"teacher": settings.teacher.model_copy(update={"n_models": 1})}
    )


def student(results: Path, settings: Settings, sizes: Sequence[int]) -> list[dict[str, float]]:
    """Steps of MD in LAMMPS with the distilled model; wall time of its loop on one core."""
    found = read_json(results / "properties" / "dnn-kd.json")
    rows = []
    for n in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            copy_potential(results / "student" / "dnn-kd" / POTENTIAL, folder)
            example = Example(
                settings.material, "dnn-kd", found["structure"], found["V0_A3_per_atom"],
                settings.elements, rng(1, "speed", "example", n),
            )  # fmt: skip
            small = settings.deploy.model_copy(update={"repeat": 3})
            write_example(folder, ROOT / "workflow/templates/in.lammps.j2", example, small)
            cost = measure_cost(folder, folder / "timing", n, 1)
        rows.append(
            {"n_atoms": cost["timing_atoms"], "us_per_atom_step": cost["us_per_atom_step"]}
        )
        print("student", rows[-1], flush=True)
    return rows


def at_paper_size(rows: Sequence[dict[str, float]]) -> tuple[float, float]:
    """Cost per atom and step at 108 atoms, us, and the exponent of the cost of a whole step.

    A power law through the two sizes next to 108 (the two largest, if all are smaller).
    """
    ordered = sorted(rows, key=lambda row: row["n_atoms"])
    if len(ordered) == 1:
        return ordered[0]["us_per_atom_step"], 1.0
    above = next((i for i, row in enumerate(ordered) if row["n_atoms"] >= PAPER), len(ordered) - 1)
    low, high = ordered[max(above - 1, 0)], ordered[max(above, 1)]
    ratio = high["n_atoms"] / low["n_atoms"]
    slope = np.log(high["us_per_atom_step"] / low["us_per_atom_step"]) / np.log(ratio)
    return float(low["us_per_atom_step"] * (PAPER / low["n_atoms"]) ** slope), float(1 + slope)


def main() -> None:
    """Measure, print a table and write what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, required=True, help="folder of a finished run")
    parser.add_argument("--quick", action="store_true", help="the smallest sizes alone")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    arguments = parser.parse_args()
    results = arguments.results.resolve()
    config = read_yaml(ROOT / "config" / "config.yaml")
    settings = load_settings(config, results.name, ROOT / "config" / "materials")
    sizes = QUICK if arguments.quick else SIZES
    measured = {
        "student": student(results, settings, sizes["student"]),
        "teacher": teacher(results, settings, sizes["teacher"]),
        "dft": dft(results, settings, sizes["dft"]),
    }
    costs = {name: at_paper_size(rows) for name, rows in measured.items()}
    print("\n| | µs per atom and step at 108 atoms | exponent | times the student |")
    print("|---|---|---|---|")
    for name in ("dft", "teacher", "student"):
        cost, exponent = costs[name]
        print(f"| {name} | {cost:,.0f} | {exponent:.2f} | {cost / costs['student'][0]:,.0f} |")
    if arguments.json:
        found = {
            "material": results.name,
            "measured": measured,
            "at_108_atoms": {name: cost for name, (cost, _) in costs.items()},
            "exponents": {name: exponent for name, (_, exponent) in costs.items()},
            "quick": arguments.quick,
            **origin("gpaw", "mace-torch", "deepmd-kit", "lammps"),
        }
        write_json(arguments.json, found)


if __name__ == "__main__":
    main()
