"""Compile every kernel into numba's cache: once per machine type, before many jobs start."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ase.build import bulk

from .deepmd.data import largest_neighbour_counts
from .frames import from_atoms, write_frames
from .generate import Breeder, Context, make_targets
from .landscape import Mapper, auto_cutoff, per_atom, points
from .paths import align
from .paths.shells import most_similar, pair_shells
from .properties.structure_factor import structure_factor
from .readers import read_at, read_frames
from .select.baselines import farthest_points
from .select.cells import occupied_cells
from .settings import Generate, Landscape


def warm_up() -> None:
    """Call every compiled entry once, on what is as small as can be."""
    frames = from_atoms([bulk("NaCl", "rocksalt", 5.6), bulk("Cu", "fcc", 3.6, cubic=True)])
    auto_cutoff(frames)
    for options in ({}, {"q6": "mean"}, {"species": "pairs"}, {"nearest": 6},
                    {"definition": "published-code"}):  # fmt: skip
        points(frames, Landscape.model_validate({"cutoff": 3.5} | options))
    landscape = Landscape(cutoff=3.5)
    Mapper(landscape)(frames.atoms(0))
    per_atom(frames.atoms(0), landscape)
    table, settings = points(frames, landscape), Generate(strategy="rattle")
    _, box = make_targets(table, settings)
    breeder = Breeder(
        Context(frames, table, box, landscape, settings, 1, "warm-up"), np.random.default_rng(1)
    )
    breeder.breed(breeder.founders, breeder.genes(breeder.founders))
    square = np.random.default_rng(1).random((20, 2))
    occupied_cells(square, 2, 4)
    farthest_points(square, 2, square[:0])
    largest_neighbour_counts(frames, ["Cu"], 3.0)
    structure_factor(frames.atoms(1).positions, frames.cells[1], 4.0)
    shells = pair_shells(frames)
    most_similar(shells, np.zeros((len(shells), 2)), 1)
    align(frames.atoms(0), frames.atoms(0), 0.1)
    with TemporaryDirectory(prefix="polymorphkd-") as folder:
        written = Path(folder) / "two.extxyz"
        write_frames(written, frames)
        read_frames(written)
        read_at(written, np.array([1]))
