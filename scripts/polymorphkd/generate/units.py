"""Rigid units: the molecules of a structure."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..errors import InputError

BOND_FACTOR = 1.15
"""Atoms nearer than this times the sum of their covalent radii are bonded."""


def rigid_units(
    numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Molecule of each atom, and positions in which every molecule is whole.

    Parameters
    ----------
    numbers : ndarray, shape (n,)
    positions : ndarray, shape (n, 3), Å
    cell : ndarray, shape (3, 3), Å
    pbc : ndarray, shape (3,), bool

    Returns
    -------
    units : ndarray, shape (n,), int64
        0, 1, ... in the order of their first atoms.
    positions : ndarray, shape (n, 3), Å

    Raises
    ------
    InputError
        A unit is bonded to an image of itself, so it is no molecule.
    """
    atoms = Atoms(numbers, positions, cell=cell, pbc=pbc)
    i, j, shift = neighbor_list("ijS", atoms, natural_cutoffs(atoms, mult=BOND_FACTOR))
    n = len(numbers)
    units = connected_components(coo_matrix((np.ones(len(i)), (i, j)), (n, n)))[1]
    images = np.zeros((n, 3), dtype=np.int64)
    seen = np.zeros(n, dtype=bool)
    neighbours: list[list[int]] = [[] for _ in range(n)]
    for bond, first in enumerate(i.tolist()):
        neighbours[first].append(bond)
    for start in range(n):
        if seen[start]:
            continue
        seen[start] = True
        waiting = [start]
        while waiting:
            a = waiting.pop()
            for bond in neighbours[a]:
                b, image = int(j[bond]), images[a] + shift[bond]
                if not seen[b]:
                    seen[b] = True
                    images[b] = image
                    waiting.append(b)
                elif (images[b] != image).any():
                    raise InputError(
                        "generate.rigid_units: the bonds of a seed go on without end (a "
                        "crystal or chain, not molecules); set it to false"
                    )
    return units.astype(np.int64), positions + images @ cell
