"""Seeds, contexts and whole runs of tasks for the tests of the generator."""

from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms
from ase.build import bulk
from polymorphkd.frames import Frames, concatenate, from_atoms
from polymorphkd.generate import Context, make_targets, run_task, write_shard
from polymorphkd.generate.individuals import Structures
from polymorphkd.landscape import points
from polymorphkd.settings import Generate, Landscape

LANDSCAPE = Landscape(cutoff=3.4)


def crystals() -> list[Atoms]:
    return [
        bulk("Al", "fcc", 4.05, cubic=True),
        bulk("Al", "bcc", 3.2, cubic=True) * (2, 1, 1),
        bulk("Al", "hcp", 2.86) * (2, 1, 1),
    ]


def context(
    images: list[Atoms] | None = None, landscape: Landscape = LANDSCAPE, seed: int = 1, **settings
) -> tuple[Context, pd.DataFrame]:
    seeds = from_atoms(images or crystals()).sorted_by_id()
    small = {"generations": 6, "population": 8, "targets_per_edge": 2, "evaluations": 400}
    chosen = Generate(**{**small, **settings})
    table = points(seeds, landscape)
    targets, box = make_targets(table, chosen)
    return Context(seeds, table, box, landscape, chosen, seed, "Al"), targets


def whole(made: Context, target: pd.Series) -> tuple[Frames, dict[str, int], str]:
    """All individuals of one task, the mutants by outcome, and why it ended."""
    task, parts = run_task(made, target), []
    while True:
        try:
            parts.append(next(task))
        except StopIteration as stop:
            tally, ended = stop.value
            return concatenate(parts), tally, ended


def write_shards(made: Context, targets: pd.DataFrame, n: int, folder: Path) -> list[Path]:
    """Shards of a run, made in a random order."""
    paths = [folder / f"{n}_{k}.parquet" for k in range(n)]
    for k in np.random.default_rng(n).permutation(n).tolist():
        write_shard(made, targets, k, n, paths[k])
    return paths


def copies(atoms: Atoms, n: int, units: np.ndarray | None = None) -> Structures:
    """`n` copies of one structure side by side."""
    size = len(atoms)
    return Structures(
        np.arange(n + 1) * size,
        np.tile(atoms.numbers, n),
        np.tile(atoms.positions, (n, 1)),
        np.tile(atoms.cell.array, (n, 1, 1)),
        np.tile(atoms.pbc, (n, 1)),
        np.tile(np.arange(size) if units is None else units, n),
    )
