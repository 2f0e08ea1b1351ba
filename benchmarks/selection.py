"""Speed of the selection at a million points, and how well each method covers at equal counts.

    python benchmarks/selection.py [--quick] [--json FILE] [--points FILE]

Speed: synthetic points, dense at high sS and low Q6 as libraries are; process time of one call
from a table of points to the chosen rows, and `choosing` that without the coverage numbers and
without the sorting by frame id.

Coverage: 376 published frames of melting silicon (../shared/data/si216_melting.extxyz; without
them crystals that ASE builds) and random mutants of each, all mapped on the landscape.  Every
method takes as many frames as the grid does; random is the mean of five draws.  `maml` is the
library of DIRECT's authors, where it is installed (its requirements are many, its sampler
needs none of them: pip install --no-deps maml).  --points keeps the mapped library.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from ase.build import bulk
from ase.io import read
from evidence.origin import origin
from landscape import available
from polymorphkd.frames import from_atoms
from polymorphkd.landscape import points
from polymorphkd.landscape.coverage import Hull, largest_region, measure
from polymorphkd.landscape.grid import bounding_box, coordinates, grid_over
from polymorphkd.provenance import write_json
from polymorphkd.select import rounds as rounds_module
from polymorphkd.select import run_rounds
from polymorphkd.select.baselines import weighted_components
from polymorphkd.select.duplicates import features, scale_of
from polymorphkd.settings import Choice, Landscape, Round
from scipy.spatial import cKDTree

PUBLISHED = Path(__file__).resolve().parents[2] / "shared/data/si216_melting.extxyz"
METHODS = ("grid", "random", "farthest-point", "direct")
FINE = 50
"""Cells per axis of the second occupancy; the first is that of coverage.json."""

N_DRAWS = 5


def synthetic(n: int) -> pd.DataFrame:
    """Points of a library of `n` frames, in no order."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "frame_id": [f"f{key:016x}" for key in random.permutation(n) * 2654435761],
            "sS": -30 * random.random(n) ** 2,
            "Q6": 0.6 * random.random(n) * random.random(n),
            "volume_per_atom": random.normal(16, 1, n),
            "settings_digest": "synthetic",
        }
    )


CASES: dict[str, tuple[Choice, list[Round]]] = {
    "grid, 0.1 x 0.005, then 0.01 x 0.0005": (
        Choice(), [Round(resolution=(0.1, 0.005)), Round(resolution=(0.01, 0.0005))],
    ),
    "grid, 1,000, then 10,000 frames": (Choice(), [Round(count=1000), Round(count=10_000)]),
    "random, 1,000": (Choice(method="random"), [Round(count=1000)]),
    "farthest point, 1,000": (Choice(method="farthest-point"), [Round(count=1000)]),
    "direct, 1,000": (Choice(method="direct"), [Round(count=1000)]),
}  # fmt: skip


@contextmanager
def timed(module: ModuleType, name: str) -> Iterator[list[float]]:
    """Adds up the process time that a function of a module takes, in the list's one entry."""
    original, spent = getattr(module, name), [0.0]

    def measured(*arguments: Any) -> Any:
        started = time.process_time()
        try:
            return original(*arguments)
        finally:
            spent[0] += time.process_time() - started

    setattr(module, name, measured)
    try:
        yield spent
    finally:
        setattr(module, name, original)


def speed(n: int, with_direct: bool) -> dict[str, Any]:
    """Seconds of process time and frames chosen of every case; the best of three calls."""
    table = synthetic(n)
    result: dict[str, Any] = {}
    for name, (choice, rounds) in CASES.items():
        slow = choice.method == "direct"
        if slow and not with_direct:
            continue
        named = [("all", one) for one in rounds]
        run_rounds(table.iloc[:5000], named[:1], choice)  # compiled and imported
        seconds = []
        for _ in range(1 if slow else 3):
            with timed(rounds_module, "_run") as inner:
                started = time.process_time()
                found = run_rounds(table, named, choice)
                seconds.append((time.process_time() - started, inner[0]))
        total, choosing = min(seconds)
        counts = [entry["count"] for entry in found.report["rounds"]]
        result[name] = {"seconds": total, "choosing": choosing, "counts": counts}
        print(f"{name}: {total:.1f} s", file=sys.stderr)
    return result


def base_frames() -> tuple[list[Atoms], str]:
    """Frames whose mutants make the library, and what they are."""
    if PUBLISHED.is_file():
        frames = read(PUBLISHED, ":")
        return frames, f"{len(frames)} published frames of melting Si-216"
    diamond = bulk("Si", "diamond", 5.43, cubic=True) * (3, 3, 3)
    fcc = bulk("Si", "fcc", 3.88, cubic=True) * (3, 3, 3)
    frames = []
    for k in range(300):
        atoms = (diamond, fcc)[k % 2].copy()
        atoms.rattle(0.01 + 0.5 * (k / 300) ** 2, seed=k)
        frames.append(atoms)
    return frames, "300 rattled silicon crystals"


def library(n_mutants: int) -> tuple[pd.DataFrame, str]:
    """Points of the base frames and `n_mutants` random mutants of each."""
    random = np.random.default_rng(1)
    base, name = base_frames()
    images = list(base)
    for atoms in base:
        for _ in range(n_mutants):
            mutant = atoms.copy()
            strain = random.normal(0, 0.02, (3, 3))
            mutant.set_cell(mutant.cell.array @ (np.eye(3) + strain), scale_atoms=True)
            mutant.positions += random.normal(0, random.uniform(0, 0.25), mutant.positions.shape)
            images.append(mutant)
    for atoms in images:
        atoms.pbc = True
    table = points(from_atoms(images), Landscape(cutoff=3.0))
    return table, f"{name} and {n_mutants} random mutants of each"


def by_maml(table: pd.DataFrame, count: int) -> np.ndarray:
    """Rows that DIRECT's own library chooses from the same weighted components."""
    from maml.sampling.direct import BirchClustering, DIRECTSampler

    logging.disable(logging.INFO)
    sampler = DIRECTSampler(
        structure_encoder=None, scaler=None, pca=None,
        clustering=BirchClustering(n=count, threshold_init=0.05),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chosen = sampler.fit_transform(weighted_components(features(table)))
    return np.array(chosen["selected_indexes"])


def covered(table: pd.DataFrame, rows: np.ndarray) -> dict[str, float]:
    """How `rows` cover the landscape of all; distances in units of the library's ranges.

    A gap is a region of cells (20 x 20) that the library occupies and `rows` do not.
    """
    xy = coordinates(table)
    box = bounding_box(xy)
    grid = grid_over(box, 20)
    coarse, fine = measure(xy[rows], grid), measure(xy[rows], grid_over(box, FINE))
    hole = largest_region((grid.counts(xy) > 0) & (grid.counts(xy[rows]) == 0), grid)
    scaled, space = box.scaled(xy), features(table) / scale_of(features(table))
    return {
        "occupied": coarse["occupied"],
        "occupied_fine": fine["occupied"],
        "uniformity": coarse["uniformity"],
        "largest_gap": hole["cells"] if hole else 0,
        "hull": coarse["hull_area"] / Hull(xy).area,
        "radius": float(cKDTree(scaled[rows]).query(scaled)[0].max()),
        "radius_with_volume": float(cKDTree(space[rows]).query(space)[0].max()),
    }


def comparison(table: pd.DataFrame, counts: list[int]) -> dict[str, Any]:
    """Coverage of the library and, for every wanted count, of every method."""
    # As everywhere: in the order of the frame ids, which no method may depend on.
    table = table.sort_values("frame_id").drop_duplicates("frame_id").reset_index(drop=True)
    everything = np.arange(len(table))
    result: dict[str, Any] = {"library": {"frames": len(table), **covered(table, everything)}}
    for wanted in counts:
        rounds = [("all", Round(count=wanted))]
        entry: dict[str, Any] = {}
        for method in METHODS:
            seeds = range(1, N_DRAWS + 1) if method == "random" else [1]
            runs = [run_rounds(table, rounds, Choice(method=method), seed).rows for seed in seeds]
            numbers = pd.DataFrame([covered(table, rows) for rows in runs]).mean().to_dict()
            entry[method] = {"frames": len(runs[0]), **numbers}
        if available("maml"):
            rows = by_maml(table, entry["grid"]["frames"])
            entry["maml"] = {"frames": len(rows), **covered(table, rows)}
        result[str(wanted)] = entry
    return result


def markdown(result: dict[str, Any]) -> str:
    """Both tables."""
    lines = ["| a million points | frames | seconds | of it choosing |", "|---|---|---|---|"]
    if result["points"] != 1_000_000:
        lines[0] = lines[0].replace("a million", f"{result['points']:,}")
    for name, entry in result["speed"].items():
        counts = " + ".join(f"{count:,}" for count in entry["counts"])
        lines.append(f"| {name} | {counts} | {entry['seconds']:.1f} | {entry['choosing']:.1f} |")
    lines += [
        "",
        f"| {result['library']} | frames | cells of 20 x 20 | of {FINE} x {FINE} | uniformity | "
        "largest gap | hull | farthest point | with volume |",
        "|---" * 9 + "|",
    ]
    compared = result["comparison"]
    rows = [("library", compared["library"])]
    for wanted, entry in compared.items():
        if wanted != "library":
            rows += list(entry.items())
    for name, n in rows:
        lines.append(
            f"| {name} | {n['frames']:,} | {n['occupied']:.0f} | {n['occupied_fine']:.0f} | "
            f"{n['uniformity']:.3f} | {n['largest_gap']:.0f} | {100 * n['hull']:.0f} % | "
            f"{n['radius']:.3f} | {n['radius_with_volume']:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the tables, write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a million points without DIRECT, "
                        "and a small library: about a minute")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here")
    parser.add_argument("--points", type=Path, metavar="FILE", help="write the library (.parquet)")
    arguments = parser.parse_args()
    n = 1_000_000
    measured = speed(n, not arguments.quick)
    table, name = library(2 if arguments.quick else 25)
    if arguments.points:
        table.to_parquet(arguments.points, index=False)
    result = {
        "points": n,
        "speed": measured,
        "library": name,
        "comparison": comparison(table, [100] if arguments.quick else [100, 1000]),
        "peak_memory_GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        **origin("numba", "numpy", "pandas", "scikit-learn", "maml"),
    }
    print(markdown(result))
    versions = ", ".join(f"{key} {value}" for key, value in result["versions"].items() if value)
    print(f"\n{result['machine']}; {versions}; commit {result['commit']}")
    if arguments.json:
        write_json(arguments.json, result)


if __name__ == "__main__":
    main()
