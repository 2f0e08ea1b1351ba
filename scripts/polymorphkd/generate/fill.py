"""Strategy ``fill``: into the empty and under-filled cells of a grid over the landscape.

A quality-diversity search (MAP-Elites; Mouret & Clune 2015) that is told where to go: gaps
are ranked anew in every batch, parents are elites near a gap, and operators and sizes of
the mutations are taken as often as they have helped of late.  Besides the genes D, V and S
it blends two relatives, after the line operator of Vassiliades & Mouret (2018).
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from scipy.ndimage import distance_transform_edt

from ..frames import Frames
from ..settings import Generate
from .archive import Archive
from .breeder import BATCH, Breeder, Mate
from .individuals import Member
from .mutations import GAUSSIAN, WAVE, Genes, possible_genes

PER_GAP = 4
"""Mutants of a batch that aim at one gap."""

NEAR = 8
"""Occupied cells around a gap whose elites are parents."""

SCALES = (0.1, 0.3, 1.0, 2.5)
"""Sizes of mutations, in units of the amplitudes of the settings."""

MEMORY = 0.98
"""Weight of the past in the success rates of the operators, per batch."""

RELATIVES = 24
"""Elites among which the partner of a blend is chosen."""

OPERATORS: tuple[tuple[str, tuple[bool, bool, bool], int], ...] = (
    ("D", (True, False, False), GAUSSIAN),
    ("wave", (True, False, False), WAVE),
    ("V", (False, True, False), GAUSSIAN),
    ("S", (False, False, True), GAUSSIAN),
    ("all", (True, True, True), GAUSSIAN),
    ("line", (False, False, False), GAUSSIAN),
    ("line+D", (True, False, False), GAUSSIAN),
)
"""Name, genes that are on, and kind of displacement of each operator."""


class Arms:
    """Success rates of all pairs of operator and size, and draws in proportion to them."""

    def __init__(self, random: np.random.Generator) -> None:
        shape = (len(OPERATORS), len(SCALES))
        self._random = random
        # A start of one success in two trials: everything is tried.
        self.reward, self.trials = np.full(shape, 1.0), np.full(shape, 2.0)

    def draw(self, n: int) -> np.ndarray:
        """`n` arms, shape (n, 2): operator and size."""
        rate = (self.reward / self.trials).ravel()
        flat = self._random.choice(rate.size, size=n, p=rate / rate.sum())
        return np.stack(np.unravel_index(flat, self.reward.shape), axis=1)

    def learn(self, arms: np.ndarray, reward: np.ndarray) -> None:
        """Take note of what `arms` (n, 2) brought, `reward` (n,)."""
        self.reward *= MEMORY
        self.trials *= MEMORY
        np.add.at(self.trials, (arms[:, 0], arms[:, 1]), 1.0)
        np.add.at(self.reward, (arms[:, 0], arms[:, 1]), reward)
        # No arm falls so low that it is never tried again.
        self.reward = np.maximum(self.reward, 0.02 * self.trials)


class Search:
    """State of one search; see :func:`fill`."""

    def __init__(self, breeder: Breeder, settings: Generate) -> None:
        context = breeder.context
        self.breeder, self.random = breeder, breeder.random
        self.settings = settings
        self.archive = Archive(context.box, settings.grid)
        self.tries = np.zeros((settings.grid, settings.grid))
        self.arms = Arms(self.random)
        seeds = breeder.founders
        self.archive.add(seeds, np.array([member.xy for member in seeds]))

    def gaps(self, n: int) -> np.ndarray:
        """Cells to aim at, shape (n, 2): wanted, near what is known, and not tried in vain."""
        counts = self.archive.counts
        # Of a full landscape every cell is as good as another.
        wanted = np.where(counts == 0, 1.0, 0.15 * (counts < self.settings.per_cell) + 1e-6)
        distance = distance_transform_edt(counts == 0)
        weight = wanted / ((1 + distance**2) * (1 + self.tries / PER_GAP))
        flat = self.random.choice(weight.size, size=n, p=weight.ravel() / weight.sum())
        return np.stack(np.unravel_index(flat, weight.shape), axis=1)

    def step(self, n: int) -> tuple[Frames, int]:
        """One batch of `n` mutants: those accepted, and how many cells were filled anew."""
        chosen = self.gaps(-(-n // PER_GAP))
        near = (self.archive.near(gap + 0.5, NEAR, PER_GAP, self.random) for gap in chosen)
        parents = [member for members in near for member in members][:n]
        gaps = np.repeat(chosen, PER_GAP, axis=0)[:n]
        goals = gaps + 0.5
        arms = self.arms.draw(n)
        mates = [
            self._mate(parent, goal) if OPERATORS[arm][0].startswith("line") else None
            for parent, goal, arm in zip(parents, goals, arms[:, 0].tolist(), strict=True)
        ]
        brood = self.breeder.breed(parents, self._genes(parents, arms, mates), mates)
        reward = np.zeros(n)
        np.add.at(self.tries, (gaps[:, 0], gaps[:, 1]), 1.0)
        if not brood.members:
            self.arms.learn(arms, reward)
            return brood.frames, 0
        before = self.archive.add(brood.members, brood.xy)
        new = before == 0
        filled = (before >= 0) & (before < self.settings.per_cell)
        reward[brood.parent] = np.where(new, 1.0, 0.2 * filled)
        self.arms.learn(arms, reward)
        self._forget(brood.xy[new])
        return brood.frames, int(new.sum())

    def _genes(self, parents: list[Member], arms: np.ndarray, mates: list[Mate | None]) -> Genes:
        """Genes of the arms; a blend that found no partner becomes a displacement."""
        low, high = self.settings.amplitudes.displaced_fraction
        random, n = self.random, len(parents)
        chosen = self.breeder.genes(parents)  # keeps swaps and hops where they are wanted
        on = np.array([OPERATORS[arm][1] for arm in arms[:, 0]])
        alone = [not on[i].any() and mates[i] is None for i in range(n)]
        on[alone, 0] = True
        on = possible_genes(on, np.array([member.pbc for member in parents]))
        wave = np.array([OPERATORS[arm][2] == WAVE for arm in arms[:, 0]])
        kind = np.where(wave, WAVE, chosen.kind)
        scale = np.array(SCALES)[arms[:, 1]] * np.exp(random.normal(0, 0.3, n))
        # Half of the displacements move all atoms, the other half a share of them.
        share = np.where(random.random(n) < 0.5, 1.0, random.uniform(low, high, n))
        return Genes(on, kind, scale, share)

    def _mate(self, parent: Member, goal: np.ndarray) -> Mate | None:
        """The relative on whose line with `parent` the point nearest to `goal` lies."""
        if self.settings.rigid_units:
            return None  # half way between two orientations a molecule is deformed
        relatives = [
            member
            for member in self.archive.anywhere(RELATIVES, self.random)
            if member.founder.signature == parent.founder.signature
            and member.frame_id != parent.frame_id
        ]
        if not relatives:
            return None
        here = self.archive.scaled(parent.xy)
        steps = self.archive.scaled(np.array([member.xy for member in relatives])) - here
        t = (steps @ (goal - here)) / np.maximum((steps**2).sum(axis=1), 1e-12)
        t = np.clip(t + self.random.normal(0, 0.05, len(t)), -0.5, 1.5)
        missed = np.linalg.norm(here + t[:, None] * steps - goal, axis=1)
        best = int(np.argmin(missed))
        return Mate(relatives[best], float(t[best]))

    def _forget(self, xy: np.ndarray) -> None:
        """A new cell makes its neighbours worth another try."""
        n = self.settings.grid
        for i, j in np.floor(self.archive.scaled(xy)).astype(int).tolist():
            self.tries[max(i - 1, 0) : min(i + 2, n), max(j - 1, 0) : min(j + 2, n)] *= 0.5


def fill(breeder: Breeder, evaluations: int) -> Generator[Frames, None, str]:
    """Fill the landscape cell by cell.

    Parameters
    ----------
    breeder : Breeder
    evaluations : int
        Mutants tried, accepted or not.

    Yields
    ------
    Frames
        Accepted individuals of one batch; ``generation`` counts the batches.

    Returns
    -------
    str
        Why the search ended: ``budget``, ``coverage`` or ``stalled``.
    """
    settings = breeder.context.settings
    search = Search(breeder, settings)
    wanted = settings.stop_at_coverage * settings.grid**2
    done = last_gain = batch = 0
    while done < evaluations:
        n = min(BATCH, evaluations - done)
        frames, n_new = search.step(n)
        done += n
        batch += 1
        if n_new:
            last_gain = done
        frames.meta["generation"] = batch
        yield frames
        if search.archive.n_occupied >= wanted:
            return "coverage"
        if done - last_gain >= settings.patience:
            return "stalled"
    return "budget"
