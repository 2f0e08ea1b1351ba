"""Configurations that several tests look at, and cutoffs that no rounding can change."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from ase import Atoms, units
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.md.langevin import Langevin
from ase.neighborlist import neighbor_list


def hcp(a: float = 3.2) -> Atoms:
    """Two atoms of ideal hcp magnesium."""
    return bulk("Mg", "hcp", a, c=a * math.sqrt(8 / 3))


def skewed(n: int, seed: int) -> Atoms:
    """Random atoms in a triclinic cell that is smaller than the reach of sS."""
    random = np.random.default_rng(seed)
    cell = np.diag([3.0, 3.4, 3.8]) + random.normal(0, 0.5, (3, 3))
    return Atoms(["Al"] * n, scaled_positions=random.random((n, 3)) * 3 - 1, cell=cell, pbc=True)


def noisy_copper(n: int = 3, size: float = 0.1, seed: int = 1) -> Atoms:
    """fcc copper of 4 n^3 atoms, rattled by `size` (Å)."""
    atoms = bulk("Cu", "fcc", 3.61, cubic=True) * (n, n, n)
    atoms.rattle(size, seed=seed)
    return atoms


def slab() -> Atoms:
    """Rattled aluminium slab with a vacuum, open along z."""
    atoms = fcc111("Al", (4, 4, 5), vacuum=6)
    atoms.pbc = (True, True, False)
    atoms.rattle(0.1, seed=2)
    return atoms


@lru_cache(maxsize=1)
def _molten() -> Atoms:
    atoms = noisy_copper(3, 0.3, 5)
    atoms.set_cell(atoms.cell * 1.06, scale_atoms=True)  # the density of the melt
    atoms.calc = EMT()
    random = np.random.default_rng(3)
    dynamics = Langevin(
        atoms, 4 * units.fs, temperature_K=3000, friction=0.02, rng=random, fixcm=False
    )
    dynamics.run(150)
    atoms.calc = None
    return atoms


def molten_copper() -> Atoms:
    """108 copper atoms after 0.6 ps at 3000 K (EMT): a liquid."""
    return _molten().copy()


def clear_cutoff(atoms: Atoms, near: float, within: float = 0.1) -> float:
    """Middle of the widest gap between distances about `near` (Å).

    A program that keeps positions in single precision counts the same neighbours there.
    """
    d = neighbor_list("d", atoms, near + within)
    edges = np.sort(np.concatenate([[near - within, near + within], d[d > near - within]]))
    k = np.argmax(np.diff(edges))
    return float((edges[k] + edges[k + 1]) / 2)
