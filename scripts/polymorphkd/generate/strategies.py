"""Strategies by name, and one task of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any

import pandas as pd

from ..frames import Frames
from ..provenance import rng
from ..settings import Generate
from .breeder import BATCH, Breeder, Context
from .edges import evolve
from .fill import fill
from .walks import random_walks, rattle

STRATEGIES: dict[str, Callable[[Breeder, int], Generator[Frames, None, Any]]] = {
    "fill": fill,
    "rattle": rattle,
    "random": random_walks,
}
"""Strategies that are given a number of evaluations; ``edges`` is given a target."""


def steps_of_task(settings: Generate) -> int:
    """Batches (generations of ``edges``) that one task yields at most."""
    if settings.strategy == "edges":
        return settings.generations
    return math.ceil(settings.evaluations / settings.islands / BATCH)


def run_task(
    context: Context, target: pd.Series
) -> Generator[Frames, None, tuple[dict[str, int], str]]:
    """All individuals of one task: a target of ``edges``, or an island of another strategy.

    The random stream belongs to the task alone, so tasks may run in any order and on any
    number of cores.

    Parameters
    ----------
    context : Context
    target : Series
        A row of the targets: target, sS, Q6.

    Yields
    ------
    Frames
        Accepted individuals with lineage: parent, root, target, generation, operator, seed
        (of the run), and their sS and Q6.

    Returns
    -------
    dict
        Mutants by outcome: accepted, or the reason of the rejection.
    str
        Why the task ended: ``budget``, ``coverage``, ``stalled``.
    """
    settings, task = context.settings, int(target["target"])
    breeder = Breeder(context, rng(context.seed, context.material, "generate", task))
    batches: Generator[Frames, None, Any]
    if settings.strategy == "edges":
        batches = evolve(breeder, target)
    else:
        share = settings.evaluations // settings.islands
        share += task < settings.evaluations % settings.islands
        batches = STRATEGIES[settings.strategy](breeder, share)
    ended = None
    while True:
        try:
            frames = next(batches)
        except StopIteration as stop:
            ended = stop.value
            break
        frames.meta["target"] = task
        frames.meta["seed"] = context.seed
        yield frames
    return dict(sorted(breeder.tally.items())), ended or "budget"
