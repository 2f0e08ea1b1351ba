"""Evolution towards one target, and the library that all targets make together."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import StageError
from ..frames import Frames, concatenate
from ..landscape import points
from ..landscape.grid import Box, coordinates
from ..progress import Counter
from ..provenance import rng
from ..settings import Generate, Landscape
from .constraints import Checker
from .mutations import mutate

LINEAGE = ("parent", "root", "target", "generation", "operator")


@dataclass
class Member:
    """One individual: structure, landscape coordinates and ancestry."""

    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray
    frame_id: str
    root: str
    distance: float


@dataclass(frozen=True)
class Context:
    """What all targets of a run share.

    Parameters
    ----------
    seeds : Frames
    seed_points : DataFrame
        Landscape points of the seeds, same order.
    box : Box
        Box of the targets; distances are measured in its units.
    landscape : Landscape
        With the cutoff of Q6 as a number.
    settings : Generate
    seed, material
        Name the random streams.
    """

    seeds: Frames
    seed_points: pd.DataFrame
    box: Box
    landscape: Landscape
    settings: Generate
    seed: int
    material: str


def _roulette(distances: np.ndarray, n: int, random: np.random.Generator) -> np.ndarray:
    """Indices of `n` parents, drawn with fitness 1/distance."""
    fitness = 1 / np.maximum(distances, 1e-6)
    return random.choice(len(distances), size=n, p=fitness / fitness.sum())


def _founders(context: Context, target: np.ndarray) -> list[Member]:
    seeds = context.seeds
    scaled = context.box.scaled(coordinates(context.seed_points))
    distances = np.linalg.norm(scaled - target, axis=1)
    return [
        Member(
            seeds.numbers[seeds.atoms_of(i)],
            seeds.positions[seeds.atoms_of(i)],
            seeds.cells[i],
            seeds.pbc[i],
            name,
            name,
            float(distances[i]),
        )
        for i, name in enumerate(context.seed_points["frame_id"])
    ]


def _offspring(
    parents: Sequence[Member],
    context: Context,
    checker: Checker,
    tally: Tally[str],
    random: np.random.Generator,
) -> tuple[Frames | None, list[str]]:
    """Acceptable mutants of `parents` as Frames, with the root of each.

    A rejected mutant is counted by its reason; it is not replaced by its parent.
    """
    kept: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    rows: list[dict[str, str]] = []
    for parent in parents:
        positions, cell, operator = mutate(
            parent.positions, parent.cell, parent.pbc, context.settings.amplitudes, random
        )
        reason = checker.reason(parent.numbers, positions, cell, parent.pbc)
        tally[reason or "accepted"] += 1
        if reason:
            continue
        kept.append((parent.numbers, positions, cell, parent.pbc))
        rows.append({"parent": parent.frame_id, "root": parent.root, "operator": operator})
    if not kept:
        return None, []
    sizes = [len(numbers) for numbers, *_ in kept]
    frames = Frames(
        np.concatenate([[0], np.cumsum(sizes)]),
        np.concatenate([k[0] for k in kept]),
        np.concatenate([k[1] for k in kept]),
        np.array([k[2] for k in kept]),
        np.array([k[3] for k in kept]),
        meta=pd.DataFrame(rows),
    )
    return frames, [row["root"] for row in rows]


def evolve(context: Context, target: pd.Series) -> tuple[Frames, dict[str, int]]:
    """Evolve a population of the seeds towards one target.

    Each generation draws parents from the population by roulette wheel with fitness
    1/distance to the target, adds fresh mutants of the seeds, and keeps the nearest.
    Everything acceptable on the way is returned.  The random stream belongs to the target
    alone, so targets may run in any order and on any number of cores.

    Parameters
    ----------
    context : Context
    target : Series
        With target (index), sS and Q6.

    Returns
    -------
    Frames
        Accepted individuals with lineage columns parent, root, target, generation,
        operator, and their sS and Q6.
    dict
        Mutants by outcome: accepted, or rejected for volume, angle, aspect or distance.
    """
    settings = context.settings
    random = rng(context.seed, context.material, "generate", int(target["target"]))
    goal = context.box.scaled(np.array([target["sS"], target["Q6"]], dtype=float))
    founders = _founders(context, goal)
    population = founders
    checker = Checker(settings.constraints, context.seeds)
    tally: Tally[str] = Tally()
    library: list[Frames] = []
    n_fresh = round(settings.fresh_fraction * settings.population)
    for generation in range(1, settings.generations + 1):
        distances = np.array([member.distance for member in population])
        chosen = _roulette(distances, settings.population - n_fresh, random)
        fresh = random.integers(len(founders), size=n_fresh)
        parents = [population[i] for i in chosen] + [founders[i] for i in fresh]
        frames, roots = _offspring(parents, context, checker, tally, random)
        if frames is None:
            continue
        table = points(frames, context.landscape)
        xy = coordinates(table)
        distance = np.linalg.norm(context.box.scaled(xy) - goal, axis=1)
        library.append(
            frames.with_meta(
                target=int(target["target"]), generation=generation, sS=xy[:, 0], Q6=xy[:, 1]
            )
        )
        population = population + _members(frames, table["frame_id"], roots, distance)
        population = sorted(population, key=lambda m: m.distance)[: settings.population]
    return concatenate(library), dict(tally)


def _members(
    frames: Frames, names: pd.Series, roots: list[str], distance: np.ndarray
) -> list[Member]:
    return [
        Member(
            frames.numbers[frames.atoms_of(i)],
            frames.positions[frames.atoms_of(i)],
            frames.cells[i],
            frames.pbc[i],
            names.iloc[i],
            roots[i],
            float(distance[i]),
        )
        for i in range(len(frames))
    ]


def evolve_shard(
    context: Context, targets: pd.DataFrame, shard: int, n_shards: int
) -> tuple[Frames, dict[str, int]]:
    """Evolve the targets of one shard (dealt round-robin); see :func:`evolve`."""
    mine = targets.iloc[shard::n_shards]
    counter = Counter(len(mine), "targets")
    parts = []
    outcomes = []
    for _, target in mine.iterrows():
        frames, outcome = evolve(context, target)
        parts.append(frames)
        outcomes.append(outcome)
        counter.step()
    return concatenate(parts), merge_outcomes(outcomes)


def merge_outcomes(outcomes: Sequence[dict[str, int]]) -> dict[str, int]:
    """Sum of mutants by outcome."""
    total: Tally[str] = Tally()
    for outcome in outcomes:
        total.update(outcome)
    return dict(sorted(total.items()))


def merge_library(seeds: Frames, seed_points: pd.DataFrame, shards: Sequence[Frames]) -> Frames:
    """Library of all targets and the seeds: no duplicates, sorted by frame id.

    Of equal structures the one of the lowest target and generation stays, so the result
    does not depend on how targets were dealt to shards.

    Raises
    ------
    StageError
        Not a single mutant obeyed the constraints.
    """
    if not any(len(shard) for shard in shards):
        raise StageError(
            "generate: not a single mutant obeyed generate.constraints; widen them or lower "
            "generate.amplitudes"
        )
    founders = seeds.without_labels()
    founders.meta = pd.DataFrame(
        {
            "parent": "",
            "root": seed_points["frame_id"].to_numpy(),
            "operator": "seed",
            "target": -1,
            "generation": 0,
            "sS": seed_points["sS"].to_numpy(),
            "Q6": seed_points["Q6"].to_numpy(),
        }
    )
    everything = concatenate([founders, *shards])
    order = np.lexsort((everything.meta["generation"], everything.meta["target"]))
    return everything.take(order).sorted_by_id()
