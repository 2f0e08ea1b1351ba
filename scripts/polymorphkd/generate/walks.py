"""Strategies ``rattle`` and ``random``: undirected mutants, to compare the others with."""

from __future__ import annotations

from collections.abc import Generator

from ..frames import Frames
from .breeder import BATCH, Breeder
from .individuals import Member


def rattle(breeder: Breeder, evaluations: int) -> Generator[Frames, None, None]:
    """Mutants of random seeds: displacement and strain, one step from their parents.

    Yields
    ------
    Frames
        Accepted individuals of one batch, with column ``generation`` (always 1).
    """
    founders, random = breeder.founders, breeder.random
    for start in range(0, evaluations, BATCH):
        chosen = random.integers(len(founders), size=min(BATCH, evaluations - start))
        parents = [founders[i] for i in chosen]
        frames = breeder.breed(parents, breeder.genes(parents)).frames
        frames.meta["generation"] = 1
        yield frames


def random_walks(breeder: Breeder, evaluations: int) -> Generator[Frames, None, None]:
    """Random walks from random seeds: each accepted mutant is the parent of the next.

    Yields
    ------
    Frames
        Accepted individuals of one step of all walkers; ``generation`` counts the steps.
    """
    founders, random = breeder.founders, breeder.random
    walkers: list[Member] = [founders[i] for i in random.integers(len(founders), size=BATCH)]
    for step, start in enumerate(range(0, evaluations, BATCH), 1):
        parents = walkers[: evaluations - start]
        brood = breeder.breed(parents, breeder.genes(parents))
        for i, member in zip(brood.parent.tolist(), brood.members, strict=True):
            walkers[i] = member
        brood.frames.meta["generation"] = step
        yield brood.frames
