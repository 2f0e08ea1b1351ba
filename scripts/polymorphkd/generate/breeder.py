"""Mutate, check and map: what every strategy does with the parents it chose."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ..frames import Frames, as_number
from ..landscape.grid import Box
from ..landscape.kernels import Q6, SS
from ..landscape.mapping import kernel_output, settings_digest
from ..settings import Generate, Landscape
from .constraints import REASONS, Checker, EnergyGate, lowest_energy, reference_extents
from .individuals import Founder, Member, founders, side_by_side
from .known import Known
from .mutations import Genes, mutate, random_genes

BATCH = 64
"""Mutants made at once: enough to spread the cost of a call, few enough for the cache."""

OVERLAPPING = "no sS"
"""Why an individual without a finite sS is refused."""

LINE = "line"
"""Operator name of a blend of two relatives."""


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

    @cached_property
    def lowest_energy(self) -> float:
        """Energy that the gate counts from, eV per atom; found once for all searches."""
        gate = self.settings.constraints.gate
        return lowest_energy(gate, self.seeds) if gate else 0.0


@dataclass(frozen=True)
class Mate:
    """Partner of a blend: the child lies at ``parent + t (partner - parent)``."""

    member: Member
    t: float


@dataclass(frozen=True)
class Brood:
    """Accepted children.

    Parameters
    ----------
    members : list of Member
    parent : ndarray, shape (n,), int64
        Index of each among the parents handed to :meth:`Breeder.breed`.
    xy : ndarray, shape (n, 2)
        sS (kB per atom) and Q6.
    frames : Frames
        The same individuals with ``parent``, ``root``, ``operator``, ``sS`` and ``Q6``.
    """

    members: list[Member]
    parent: np.ndarray
    xy: np.ndarray
    frames: Frames


class Breeder:
    """Makes individuals of parents; counts every rejection by its reason.

    Parameters
    ----------
    context : Context
    random : Generator
        The random stream of one task.

    Attributes
    ----------
    founders : list of Member
        The seeds that obey the constraints.
    tally : Counter
        Mutants by outcome.

    Raises
    ------
    ConfigError
        Not one seed obeys the constraints.
    InputError
        A seed has one atom only.
    """

    def __init__(self, context: Context, random: np.random.Generator) -> None:
        settings = context.settings
        self.context = context
        self.random = random
        self.tally: Tally[str] = Tally()
        self.checker = Checker(settings.constraints, context.seeds)
        self._digest = settings_digest(context.landscape, float(context.landscape.cutoff))
        window = settings.constraints.volume_window
        seeds = founders(
            context.seeds, context.seed_points, reference_extents(context.seeds, window),
            settings.rigid_units,
        )  # fmt: skip
        self.founders = self.checker.fit(seeds)
        gate = settings.constraints.gate
        self.gate = EnergyGate(gate, context.lowest_energy) if gate else None
        self._known = Known(as_number(member.frame_id) for member in seeds)

    def genes(self, parents: Sequence[Member]) -> Genes:
        """Random genes for children of `parents`; see :func:`mutations.random_genes`."""
        settings = self.context.settings
        pbc = np.array([member.pbc for member in parents])
        return random_genes(pbc, settings.amplitudes, settings.displacements, self.random)

    def breed(
        self,
        parents: Sequence[Member],
        genes: Genes,
        mates: Sequence[Mate | None] | None = None,
    ) -> Brood:
        """One child per parent, of which the acceptable ones are returned.

        A rejected mutant is counted by its reason; it is not replaced by its parent.  A
        structure that this breeder has met before is rejected as a duplicate.

        Parameters
        ----------
        parents : sequence of Member
        genes : Genes
        mates : sequence, optional
            Partner of each parent, or None; they blend before the genes act.
        """
        structures = side_by_side(parents)
        for i, mate in enumerate(mates or ()):
            if mate is not None:
                positions, cell = blend(parents[i], mate)
                structures.positions[structures.of(i)], structures.cells[i] = positions, cell
        operators = mutate(structures, genes, self.context.settings.amplitudes, self.random)
        for i, mate in enumerate(mates or ()):
            if mate is not None:
                still = not genes.on[i].any()
                operators[i] = LINE if still else f"{LINE}+{operators[i]}"
        reduced = self.checker.reduce(structures)
        own = np.array([member.founder.extent for member in parents])
        outcome, quality = self.checker.check(structures, own)
        accepted = np.flatnonzero(outcome == 0)
        for code, count in zip(*np.unique(outcome[outcome > 0], return_counts=True), strict=True):
            self.tally[REASONS[code]] += int(count)
        frames = structures.take(accepted)
        kept, ids, xy = self._mapped(frames)
        if len(kept) < len(accepted):
            frames, accepted = frames.take(kept), accepted[kept]
        self.tally["accepted"] += len(accepted)
        members = [
            Member(
                frames.numbers[frames.atoms_of(k)],
                frames.positions[frames.atoms_of(k)],
                frames.cells[k],
                frames.pbc[k],
                xy[k],
                ids[k],
                _founder(parents[i].founder, reduced.get(i)),
                float(quality[i]),
            )
            for k, i in enumerate(accepted.tolist())
        ]
        frames.meta = pd.DataFrame(
            {
                "parent": [parents[i].frame_id for i in accepted.tolist()],
                "root": [parents[i].founder.frame_id for i in accepted.tolist()],
                "operator": operators[accepted].tolist(),
                "sS": xy[:, 0],
                "Q6": xy[:, 1],
                "settings_digest": self._digest,
            }
        )
        return Brood(members, accepted, xy, frames)

    def _mapped(self, frames: Frames) -> tuple[np.ndarray, list[str], np.ndarray]:
        """Indices of the frames that are new, pass the gate and have an sS; ids, coordinates."""
        new, names = [], []
        for k, name in enumerate(frames.frame_ids()):
            number = as_number(name)
            reason = "duplicate" if number in self._known else ""
            if not reason and self.gate is not None:
                reason = self.gate.reason(frames, k)
            if reason:
                self.tally[reason] += 1
                continue
            self._known.add(number)
            new.append(k)
            names.append(name)
        kept = np.array(new, dtype=np.int64)
        if len(kept) < len(frames):
            frames = frames.take(kept)
        context = self.context
        values = kernel_output(frames, context.landscape, float(context.landscape.cutoff))
        xy = values[:, [SS, Q6]]
        finite = np.isfinite(xy).all(axis=1)
        if not finite.all():
            self.tally[OVERLAPPING] += int((~finite).sum())
            names = [name for name, ok in zip(names, finite.tolist(), strict=True) if ok]
        return kept[finite], names, xy[finite]


def _founder(founder: Founder, operation: np.ndarray | None) -> Founder:
    """`founder`, marked by the change of cell vectors after which blends make no sense."""
    if operation is None:
        return founder
    return founder._replace(signature=founder.signature + operation.tobytes())


def blend(parent: Member, mate: Mate) -> tuple[np.ndarray, np.ndarray]:
    """Positions (n, 3) and cell (3, 3) at ``parent + t (partner - parent)``, Å.

    Atoms correspond one to one and go the shortest way in fractional coordinates.
    """
    partner, t = mate.member, mate.t
    cell = parent.cell + t * (partner.cell - parent.cell)
    if not parent.pbc.any():
        return parent.positions + t * (partner.positions - parent.positions), cell
    if not parent.pbc.all():
        step = partner.positions - parent.positions
        periodic = parent.pbc
        inverse = np.linalg.pinv(parent.cell[periodic])
        step = step - np.rint(step @ inverse) @ parent.cell[periodic]
        return parent.positions + t * step, parent.cell.copy()
    start = parent.positions @ np.linalg.inv(parent.cell)
    step = partner.positions @ np.linalg.inv(partner.cell) - start
    step -= np.rint(step)
    # Acoustic drift of the relatives against each other is no change of structure.
    step -= step.mean(axis=0)
    return (start + t * step) @ cell, cell
