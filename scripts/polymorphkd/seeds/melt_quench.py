"""One melt-quench run of a material, from its start cell to frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from ase import Atoms

from ..calculators import make_calculator
from ..errors import InputError
from ..frames import from_atoms
from ..progress import Counter, logger
from ..provenance import algorithm_version, digest, rng
from ..readers import read_frames
from ..settings import MeltQuench, SeedMD, Settings
from ..settings.seeds import PrototypeName
from .ase_md import run_ase
from .lammps_md import run_resumable
from .prototypes import prototype
from .schedule import Dynamics, Plan, Run, bare, plan

NEAR = 0.25
"""Supercells of a prototype may have so much more or fewer atoms (relative) than wished."""


@dataclass(frozen=True)
class Done:
    """A run with what it was asked to do."""

    run: Run
    plan: Plan
    n_atoms: int


def schedule_of(settings: Settings) -> MeltQuench:
    """The melt-quench of a material; that of the paper where it names none."""
    return (settings.seeds.md or SeedMD()).melt_quench or MeltQuench()


def is_prototype(start: str) -> bool:
    """Whether a start names a prototype, not a file."""
    return start in get_args(PrototypeName)


def start_cell(settings: Settings, start: str) -> Atoms:
    """Cell that a run begins with: a repeated prototype, or the last frame of a file.

    Raises
    ------
    InputError
        The file cannot be read, or is not periodic in all directions.
    """
    if is_prototype(start):
        crystal = prototype(start, settings.elements[0], settings.seeds.volume_per_atom)
        return supercell(crystal, schedule_of(settings).n_atoms)
    frames = read_frames(start)
    atoms = frames.atoms(len(frames) - 1)
    if not atoms.pbc.all():
        raise InputError(
            f"seeds.md.melt_quench.starts: {start}: is open along a direction; NPT needs a cell "
            "that is periodic along all three"
        )
    return bare(atoms)


def supercell(crystal: Atoms, n_atoms: int) -> Atoms:
    """The most compact supercell with about `n_atoms` atoms."""
    edges = crystal.cell.lengths()
    most = max(1, int((1 + NEAR) * n_atoms / len(crystal)))
    best: tuple[float, tuple[int, int, int]] = (np.inf, (1, 1, 1))
    for a in range(1, most + 1):
        for b in range(1, most // a + 1):
            for c in range(1, most // (a * b) + 1):
                off = abs(a * b * c * len(crystal) / n_atoms - 1)
                if off <= NEAR:
                    lengths = edges * (a, b, c)
                    long = float(np.sum(lengths**2) / np.prod(lengths) ** (2 / 3))
                    best = min(best, (round(long * (1 + off), 9), (a, b, c)))
    return crystal.repeat(best[1])


def run_start(settings: Settings, start: str, work: Path) -> Done:
    """Do one run, or what is left of it.

    Parameters
    ----------
    settings : Settings
    start : str
        One of ``seeds.md.melt_quench.starts``.
    work : Path
        Holds a folder per run, named by the digest of all that decides it, so that a run goes
        on only from what was made with the same settings.

    Raises
    ------
    InputError
        A file of the user cannot be used.
    StageError
        LAMMPS cannot run this input.
    """
    md, chosen = settings.seeds.md, schedule_of(settings)
    assert md is not None
    cell = start_cell(settings, start)
    name = digest(
        {
            "start": from_atoms([cell]).frame_ids(),
            "name": start,
            "seed": [settings.seed, settings.material, *settings.elements],
            "md": md.model_dump(mode="json"),
            "algorithm": algorithm_version("seeds"),
        }
    )
    dynamics = Dynamics(md.timestep, chosen.thermostat_time, chosen.barostat_time, chosen.frames)
    schedule = plan(chosen.stages, dynamics)
    random = rng(settings.seed, settings.material, "seeds", f"melt-quench {start}")
    logger.info("%s: %d atoms, %d steps with %s", start, len(cell), schedule.end, chosen.program)
    if chosen.program == "lammps":
        run = run_resumable(
            work / name, cell, chosen.commands, settings.elements, schedule, dynamics,
            random,
        )  # fmt: skip
    else:
        calculator = make_calculator(md.calculator, md.arguments)
        report = Counter(schedule.end, "steps").step
        run = run_ase(work / name, cell, calculator, schedule, dynamics, random, report)
    return Done(run, schedule, len(cell))
