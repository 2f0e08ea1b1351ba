"""Strategy ``edges``: evolution towards one target on the edge of the box (METHOD 2)."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import pandas as pd

from ..frames import Frames
from .breeder import Breeder
from .individuals import Member


def roulette(distances: np.ndarray, n: int, random: np.random.Generator) -> np.ndarray:
    """Indices of `n` parents, drawn with fitness 1/distance."""
    fitness = 1 / np.maximum(distances, 1e-6)
    return random.choice(len(distances), size=n, p=fitness / fitness.sum())


def evolve(breeder: Breeder, target: pd.Series) -> Generator[Frames, None, None]:
    """Evolve a population of the seeds towards one target.

    Each generation draws parents from the population by roulette wheel with fitness
    1/distance to the target, adds fresh mutants of the seeds, and keeps the nearest.
    Everything acceptable on the way is yielded.

    Parameters
    ----------
    breeder : Breeder
    target : Series
        With sS and Q6.

    Yields
    ------
    Frames
        Accepted individuals of one generation, with column ``generation``.
    """
    context, random = breeder.context, breeder.random
    settings = context.settings
    goal = context.box.scaled(np.array([target["sS"], target["Q6"]], dtype=float))

    def distance(members: list[Member]) -> np.ndarray:
        xy = np.array([member.xy for member in members])
        return np.linalg.norm(context.box.scaled(xy) - goal, axis=1)

    population = breeder.founders
    distances = distance(population)
    n_fresh = round(settings.fresh_fraction * settings.population)
    for generation in range(1, settings.generations + 1):
        chosen = roulette(distances, settings.population - n_fresh, random)
        fresh = random.integers(len(breeder.founders), size=n_fresh)
        parents = [population[i] for i in chosen] + [breeder.founders[i] for i in fresh]
        brood = breeder.breed(parents, breeder.genes(parents))
        if not brood.members:
            continue
        brood.frames.meta["generation"] = generation
        yield brood.frames
        population = population + brood.members
        distances = np.concatenate([distances, distance(brood.members)])
        nearest = np.argsort(distances, kind="stable")[: settings.population]
        population = [population[i] for i in nearest]
        distances = distances[nearest]
