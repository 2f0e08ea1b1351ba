"""Individuals of a population, and how a set of them lies in flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..errors import InputError
from ..frames import Frames
from .units import rigid_units


@dataclass(eq=False)
class Member:
    """One individual: structure, landscape coordinates and ancestry.

    Parameters
    ----------
    numbers : ndarray, shape (n,), int64
    positions : ndarray, shape (n, 3), float64, Å
    cell : ndarray, shape (3, 3), float64, Å
    pbc : ndarray, shape (3,), bool
    xy : ndarray, shape (2,)
        sS (kB per atom) and Q6.
    frame_id, root : str
        Its own name and that of the seed it comes from.
    founder : Founder
        What all descendants of one seed share.
    quality : float
        Smallest distance over the allowed one of its pair; 1 is at the limit.
    """

    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray
    xy: np.ndarray
    frame_id: str
    founder: Founder
    quality: float = 1.0


class Founder(NamedTuple):
    """What all descendants of one seed share.

    frame_id of the seed; the extent (volume, area or length, Å^d) that the volume window is
    relative to; rigid unit of each atom, shape (n,), int64; signature of structures whose
    atoms correspond one to one.
    """

    frame_id: str
    extent: float
    units: np.ndarray
    signature: bytes


def extents(cells: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Volume, area or length spanned by the periodic vectors of cells (n, 3, 3); 0 for none."""
    gram = cells @ cells.transpose(0, 2, 1)
    both = pbc[:, :, None] & pbc[:, None, :]
    gram = np.where(both, gram, np.eye(3))
    return np.where(pbc.any(axis=1), np.sqrt(np.abs(np.linalg.det(gram))), 0.0)


def founders(
    seeds: Frames, points: pd.DataFrame, references: np.ndarray, rigid: bool
) -> list[Member]:
    """Seeds as the first individuals.

    Parameters
    ----------
    seeds : Frames
    points : DataFrame
        Landscape points of the seeds, in the same order.
    references : ndarray, shape (n,)
        Extent that the volume window of each is relative to.
    rigid : bool
        Whether molecules move as rigid bodies; they are made whole then.

    Raises
    ------
    InputError
        A seed has one atom only, which no displacement changes.
    """
    alone = np.flatnonzero(seeds.n_atoms == 1)
    if len(alone):
        raise InputError(
            f"generate: {len(alone)} seeds have one atom only (first: "
            f"{points['frame_id'].iloc[alone[0]]}); displacements do nothing there, so repeat "
            "their cells (4 atoms and more)"
        )
    xy = points[["sS", "Q6"]].to_numpy(dtype=float)
    result = []
    for i, name in enumerate(points["frame_id"]):
        where = seeds.atoms_of(i)
        numbers, positions = seeds.numbers[where], seeds.positions[where]
        cell, pbc = seeds.cells[i], seeds.pbc[i]
        units = np.arange(len(numbers))
        if rigid:
            units, positions = rigid_units(numbers, positions, cell, pbc)
        signature = numbers.tobytes() + pbc.tobytes()
        founder = Founder(str(name), float(references[i]), units, signature)
        result.append(Member(numbers, positions, cell, pbc, xy[i], str(name), founder))
    return result


class Structures(NamedTuple):
    """Structures side by side: offsets (n + 1,), numbers, positions (Å), cells (Å), pbc, units."""

    offsets: np.ndarray
    numbers: np.ndarray
    positions: np.ndarray
    cells: np.ndarray
    pbc: np.ndarray
    units: np.ndarray

    def of(self, i: int) -> slice:
        """Slice of the flat arrays that holds structure `i`."""
        return slice(int(self.offsets[i]), int(self.offsets[i + 1]))

    def take(self, kept: np.ndarray) -> Frames:
        """The structures at the indices `kept`, as Frames."""
        sizes = np.diff(self.offsets)
        mask = np.zeros(len(sizes), dtype=bool)
        mask[kept] = True
        atoms = np.repeat(mask, sizes)
        return Frames(
            np.concatenate([[0], np.cumsum(sizes[kept])]),
            self.numbers[atoms],
            self.positions[atoms],
            self.cells[kept],
            self.pbc[kept],
        )


def side_by_side(members: Sequence[Member]) -> Structures:
    """Copy of the structures of `members` in flat arrays."""
    sizes = [len(member.numbers) for member in members]
    return Structures(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.concatenate([member.numbers for member in members]),
        np.concatenate([member.positions for member in members]),
        np.array([member.cell for member in members]),
        np.array([member.pbc for member in members]),
        np.concatenate([member.founder.units for member in members]),
    )
