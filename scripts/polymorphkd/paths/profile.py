"""A path as a table: enthalpy, place on the landscape, and the highest point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms

from ..errors import StageError
from ..frames import from_atoms
from ..landscape import points
from ..settings import Landscape
from .alignment import align, follow
from .search import Graph
from .surface import Surface


@dataclass(frozen=True)
class Profile:
    """A path that was measured in small steps.

    Parameters
    ----------
    table : DataFrame
        kind (``frame`` or ``between``); name (of frames); distance (Å along the path);
        enthalpy (eV, above the start); sS (kB per atom), Q6, volume_per_atom (Å^3).
    images : list of Atoms
        One for each row, without jumps of atoms or turns of the cell.
    """

    table: pd.DataFrame
    images: list[Atoms]

    @property
    def barrier(self) -> float:
        """Highest enthalpy above the start, eV per cell, points between frames included."""
        return float(self.table["enthalpy"].max())

    @property
    def top(self) -> Atoms:
        """Structure of the highest point."""
        return self.images[int(self.table["enthalpy"].to_numpy().argmax())]

    def summary(self) -> dict[str, float | int]:
        """Numbers for a report; energies in eV, also per atom."""
        n_atoms, enthalpy = len(self.images[0]), self.table["enthalpy"]
        return {
            "barrier_eV": self.barrier,
            "barrier_eV_per_atom": self.barrier / n_atoms,
            "end_eV_per_atom": float(enthalpy.iloc[-1]) / n_atoms,
            "n_atoms": n_atoms,
            "frames": int((self.table["kind"] == "frame").sum()),
            "points": len(self.table),
            "length_A": float(self.table["distance"].iloc[-1]),
        }


def trace(graph: Graph, path: Sequence[int]) -> list[Atoms]:
    """Frames along a path of a graph, each turned and its atoms ordered as in the one before.

    Raises
    ------
    StageError
        Two frames in succession are no neighbours.
    """
    images = [graph.images[path[0]]]
    # Lattice vectors of the traced image as coefficients of those of the frame.  They are
    # carried along: a path that shears on and on leaves the choices that `align` looks at.
    vectors = np.eye(3)
    for i, j in pairwise(path):
        way = graph.way(i, j)
        if way is None:
            raise StageError(f"frames {i} and {j} are no neighbours")
        choice = way.alignment.choice
        vectors = vectors @ (choice if i < j else np.linalg.inv(choice))
        follower = graph.images[j].copy()
        follower.set_cell(np.rint(vectors) @ follower.cell.array)
        # The distance does not depend on axes and order, but the search for the common shift
        # starts at the first atom, and may end a little farther from another one.
        found = align(images[-1], follower, 1.5 * way.alignment.distance + 1e-6)
        if found is None:
            raise StageError(f"the way from frame {i} to frame {j} was not found again")
        images.append(found.at(images[-1], 1.0))
        vectors = found.choice @ np.rint(vectors)
    return images


def measure(
    images: Sequence[Atoms],
    surface: Surface,
    landscape: Landscape,
    step: float = 0.1,
    names: Sequence[str] | None = None,
) -> Profile:
    """Profile of a path, with points between its frames at most `step` (Å) apart.

    Parameters
    ----------
    images : sequence of Atoms
        In one order of atoms and without jumps across the cell, as :func:`trace` and
        `band.relax_band` give them.
    surface : Surface
    landscape : Landscape
        With the cutoff as a number.
    step : float, Å
    names : sequence of str, optional
        One for each image; else they are numbered.
    """
    names = names or [str(i) for i in range(len(images))]
    rows: list[dict[str, Any]] = [{"kind": "frame", "name": names[0], "distance": 0.0}]
    every = [images[0]]
    for (before, after), name in zip(pairwise(images), names[1:], strict=True):
        way = follow(before, after)
        n = max(1, int(np.ceil(way.distance / step)))
        start = rows[-1]["distance"]
        for k in range(1, n + 1):
            last = k == n
            every.append(after if last else way.at(before, k / n))
            rows.append(
                {
                    "kind": "frame" if last else "between",
                    "name": name if last else "",
                    "distance": start + way.distance * k / n,
                }
            )
    enthalpy = surface.enthalpies(every)
    place = points(from_atoms(every), landscape)
    table = pd.DataFrame(rows).assign(
        enthalpy=enthalpy - enthalpy[0],
        sS=place["sS"],
        Q6=place["Q6"],
        volume_per_atom=place["volume_per_atom"],
    )
    return Profile(table, every)
