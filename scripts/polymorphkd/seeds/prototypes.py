"""Crystal prototypes at a given volume per atom, repeated to a wanted number of atoms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal

# Ideal axial ratios of close packing (per two layers) and of the omega phase.
_HCP = math.sqrt(8 / 3)
_OMEGA = math.sqrt(3 / 8)


def _dhcp(symbol: str) -> Atoms:
    positions = [(0, 0, 0), (1 / 3, 2 / 3, 1 / 4), (0, 0, 1 / 2), (2 / 3, 1 / 3, 3 / 4)]
    cell = _hexagonal(1.0, 2 * _HCP)
    return Atoms([symbol] * 4, scaled_positions=positions, cell=cell, pbc=True)


def _omega(symbol: str) -> Atoms:
    positions = [(0, 0, 0), (1 / 3, 2 / 3, 1 / 2), (2 / 3, 1 / 3, 1 / 2)]
    cell = _hexagonal(1.0, _OMEGA)
    return Atoms([symbol] * 3, scaled_positions=positions, cell=cell, pbc=True)


def _hexagonal(a: float, c: float) -> np.ndarray:
    return np.array([[a, 0, 0], [-a / 2, a * math.sqrt(3) / 2, 0], [0, 0, c]])


def _a15(symbol: str) -> Atoms:
    return crystal(
        [symbol, symbol], [(0, 0, 0), (0.25, 0, 0.5)], spacegroup=223, cellpar=[1.0] * 3 + [90] * 3
    )


_BUILDERS: dict[str, Callable[[str], Atoms]] = {
    "fcc": lambda s: bulk(s, "fcc", 1.0, cubic=True),
    "bcc": lambda s: bulk(s, "bcc", 1.0, cubic=True),
    "hcp": lambda s: bulk(s, "hcp", 1.0, c=_HCP),
    "dhcp": _dhcp,
    "sc": lambda s: bulk(s, "sc", 1.0),
    "diamond": lambda s: bulk(s, "diamond", 1.0, cubic=True),
    "omega": _omega,
    "a15": _a15,
}


def prototype(name: str, symbol: str, volume_per_atom: float) -> Atoms:
    """Conventional cell of a prototype.

    Parameters
    ----------
    name : str
        fcc, bcc, hcp, dhcp, sc, diamond, omega or a15.
    symbol : str
        Chemical symbol of every atom.
    volume_per_atom : float, Å^3
    """
    atoms = _BUILDERS[name](symbol)
    factor = (volume_per_atom * len(atoms) / atoms.get_volume()) ** (1 / 3)
    atoms.set_cell(atoms.cell * factor, scale_atoms=True)
    atoms.info.clear()
    return atoms


def repeated(atoms: Atoms, n_atoms: tuple[int, int]) -> list[Atoms]:
    """Smallest and largest supercell with a number of atoms inside `n_atoms`.

    Of the repetitions that give one number the most compact cell is taken (smallest sum
    of squared edges).  The list is empty if no repetition fits.
    """
    low, high = n_atoms
    most = high // len(atoms)
    best: dict[int, tuple[float, tuple[int, ...]]] = {}
    edges = atoms.cell.lengths()
    for reps in itertools.product(range(1, most + 1), repeat=3):
        count = len(atoms) * math.prod(reps)
        if not low <= count <= high:
            continue
        key = (round(float(np.sum((edges * reps) ** 2)), 9), reps)
        best[count] = min(best.get(count, key), key)
    sizes = sorted({min(best), max(best)}) if best else []
    return [atoms.repeat(best[size][1]) for size in sizes]
