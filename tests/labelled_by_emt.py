"""Labelled sets that take no time to make, for the tests of the benchmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.emt import EMT
from polymorphkd.frames import from_atoms, write_frames


def label(atoms: Atoms) -> None:
    """Write energy, forces and stress by EMT under the REF_ keys."""
    atoms.calc = EMT()
    atoms.info["REF_energy"] = atoms.get_potential_energy()
    atoms.info["REF_stress"] = atoms.get_stress()
    atoms.arrays["REF_forces"] = atoms.get_forces()
    atoms.calc = None


def write_labelled(
    path: Path, cell: Atoms, n: int, n_test: int, strains: tuple[float, float],
    rattle: float | tuple[float, float],
) -> Path:  # fmt: skip
    """Strained and rattled copies of a cell, labelled by EMT; the first ones are the test set.

    `strains` are those of volume and of shape, `rattle` is an amplitude or its bounds, Å.
    """
    random = np.random.default_rng(3)
    images = []
    for _ in range(n):
        atoms = cell.copy()
        volume = random.uniform(-strains[0], strains[0])
        strain = np.eye(3) * (1 + volume) + random.normal(0, strains[1], (3, 3))
        atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
        amplitude = random.uniform(*rattle) if isinstance(rattle, tuple) else rattle
        atoms.rattle(amplitude, rng=random)
        label(atoms)
        images.append(atoms)
    split = ["test"] * n_test + ["train"] * (n - n_test)
    write_frames(path, from_atoms(images).with_meta(split=split))
    return path
