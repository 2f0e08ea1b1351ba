"""Archive of a quality-diversity search: the best individuals of each landscape cell."""

from __future__ import annotations

import numpy as np

from ..landscape.grid import Box, cells, inside
from .individuals import Member

ELITES = 6
"""Individuals kept per cell as parents."""


class Archive:
    """Grid of elites (MAP-Elites; Mouret & Clune 2015).

    Parameters
    ----------
    box : Box
    n : int
        Cells along each axis.

    Attributes
    ----------
    counts : ndarray, shape (n, n), int64
        Individuals that fell into each cell.
    """

    def __init__(self, box: Box, n: int) -> None:
        self.box, self.n = box, n
        self.counts = np.zeros((n, n), dtype=np.int64)
        self._elites: dict[int, list[Member]] = {}
        self._occupied: list[int] = []
        self._centres = np.zeros((0, 2))

    def add(self, members: list[Member], xy: np.ndarray) -> np.ndarray:
        """Let `members` in; returns the count of the cell of each before, -1 outside the box.

        Elites are those with the roomiest closest pair: they leave mutations most freedom
        and are the likeliest to be sound.
        """
        index = cells(xy, self.box, self.n)
        before = np.full(len(members), -1)
        for k, (member, within) in enumerate(zip(members, inside(xy, self.box), strict=True)):
            if not within:
                continue
            i, j = index[k]
            before[k] = self.counts[i, j]
            self.counts[i, j] += 1
            self._enter(int(i * self.n + j), member)
        return before

    def _enter(self, cell: int, member: Member) -> None:
        elites = self._elites.get(cell)
        if elites is None:
            self._elites[cell] = [_own(member)]
            self._occupied.append(cell)
            centre = (np.array(divmod(cell, self.n)) + 0.5)[None]
            self._centres = np.concatenate([self._centres, centre])
            return
        if len(elites) < ELITES:
            elites.append(_own(member))
            return
        worst = min(range(ELITES), key=lambda k: elites[k].quality)
        if elites[worst].quality < member.quality:
            elites[worst] = _own(member)

    @property
    def n_occupied(self) -> int:
        """Cells with at least one individual."""
        return len(self._occupied)

    def near(
        self, goal: np.ndarray, n_cells: int, n: int, random: np.random.Generator
    ) -> list[Member]:
        """`n` elites near `goal` (2,), in cells: of the nearest cells, drawn with 1/distance^2."""
        squared = ((self._centres - goal) ** 2).sum(axis=1)
        nearest = np.arange(len(squared))
        if len(squared) > n_cells:
            nearest = np.argpartition(squared, n_cells)[:n_cells]
        weight = 1 / (squared[nearest] + 0.25)
        chosen = random.choice(len(nearest), size=n, p=weight / weight.sum())
        return self._of_cells(nearest[chosen], random)

    def anywhere(self, n: int, random: np.random.Generator) -> list[Member]:
        """`n` elites of any occupied cells, all cells alike."""
        return self._of_cells(random.integers(len(self._occupied), size=n), random)

    def _of_cells(self, chosen: np.ndarray, random: np.random.Generator) -> list[Member]:
        which = random.random(len(chosen)).tolist()
        members = []
        for k, u in zip(chosen.tolist(), which, strict=True):
            elites = self._elites[self._occupied[k]]
            members.append(elites[int(u * len(elites))])
        return members

    def scaled(self, xy: np.ndarray) -> np.ndarray:
        """Landscape coordinates in units of cells."""
        return self.box.scaled(xy) * self.n


def _own(member: Member) -> Member:
    """`member` with arrays of its own, so that it does not keep its whole batch in memory."""
    return Member(
        member.numbers.copy(), member.positions.copy(), member.cell.copy(), member.pbc.copy(),
        member.xy.copy(), member.frame_id, member.founder, member.quality,
    )  # fmt: skip
