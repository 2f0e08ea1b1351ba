"""Figures of the documentation, from structures that ASE builds: run it where you like.

    python docs/images/make_landscape_figures.py

Silicon in the diamond, beta-tin and simple hexagonal structures at several strains and
temperatures (random displacements), a path from diamond to disorder, and random packings.
No energies are needed; it takes seconds once the kernels are compiled.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ase import Atoms
from ase.build import bulk
from polymorphkd.frames import Frames, from_atoms
from polymorphkd.landscape import points
from polymorphkd.plots.figure import Options, plot
from polymorphkd.settings import Landscape

HERE = Path(__file__).parent
SETTINGS = Landscape(cutoff=3.0)
N_PER_PHASE = 150


def diamond() -> Atoms:
    return bulk("Si", "diamond", 5.43, cubic=True).repeat(2)


def beta_tin() -> Atoms:
    a, c = 4.81, 2.65
    basis = [[0, 0, 0], [0, 0.5, 0.25], [0.5, 0.5, 0.5], [0.5, 0, 0.75]]
    return Atoms("Si4", scaled_positions=basis, cell=[a, a, c], pbc=True).repeat((2, 2, 4))


def simple_hexagonal() -> Atoms:
    cell = [[2.64, 0, 0], [-1.32, 1.32 * np.sqrt(3), 0], [0, 0, 2.48]]
    return Atoms("Si", cell=cell, pbc=True).repeat(4)


def strained(base: Atoms, rng: np.random.Generator, strain: float, rattle: float) -> Atoms:
    """Copy with a random strain and Gaussian displacements (Å)."""
    atoms = base.copy()
    deformation = np.eye(3) + rng.normal(0, strain, (3, 3))
    atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    atoms.positions += rng.normal(0, rattle, atoms.positions.shape)
    return atoms


def packing(rng: np.random.Generator, n: int = 64, volume: float = 19.0) -> Atoms:
    """Random positions that keep 2.1 Å between atoms: a liquid-like cell."""
    edge = (n * volume) ** (1 / 3)
    placed: list[np.ndarray] = []
    while len(placed) < n:
        trial = rng.uniform(0, edge, 3)
        apart = np.array([trial - other for other in placed]).reshape(-1, 3)
        apart -= edge * np.round(apart / edge)
        if not len(apart) or np.linalg.norm(apart, axis=1).min() > 2.1:
            placed.append(trial)
    return Atoms(f"Si{n}", positions=placed, cell=[edge] * 3, pbc=True)


def phases() -> Frames:
    """Four phases, each from cold to hot."""
    rng = np.random.default_rng(1)
    images = []
    for name, make in (("diamond", diamond), ("β-tin", beta_tin), ("hexagonal", simple_hexagonal)):
        base = make()
        for rattle in np.linspace(0.03, 0.35, N_PER_PHASE):
            atoms = strained(base, rng, 0.01, rattle)
            atoms.info.update(phase=name, displacement=float(rattle))
            images.append(atoms)
    for density in np.linspace(17, 24, N_PER_PHASE // 2):
        atoms = packing(rng, volume=density)
        atoms.info.update(phase="random packing", displacement=np.nan)
        images.append(atoms)
    return from_atoms(images)


def path() -> Frames:
    """Diamond that is displaced more and more."""
    rng = np.random.default_rng(2)
    return from_atoms(
        [strained(diamond(), rng, 0.005, rattle) for rattle in np.linspace(0.02, 0.9, 200)]
    )


def main() -> None:
    with TemporaryDirectory() as folder:
        tables = {}
        for name, frames in (("polymorphs", phases()), ("disordering", path())):
            table = points(frames, SETTINGS)
            for column in ("phase", "displacement"):
                if column in frames.meta:
                    table[column] = frames.meta[column].to_numpy()
            tables[name] = Path(folder) / f"{name}.parquet"
            table.to_parquet(tables[name])
        figures = {
            "phases": (["polymorphs"], Options(color="phase")),
            "volume": (["polymorphs"], Options(color="volume_per_atom")),
            "two_sets": (["polymorphs", "disordering"], Options(kind="density")),
        }
        for name, (sets, options) in figures.items():
            print(plot([tables[s] for s in sets], HERE / f"landscape_{name}.png", options))


if __name__ == "__main__":
    main()
