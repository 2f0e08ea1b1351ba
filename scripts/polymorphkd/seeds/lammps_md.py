"""Molecular dynamics in LAMMPS along a schedule; a killed run goes on from a restart file."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms
from ase.io import write

from ..errors import StageError
from ..frames import Frames, from_atoms
from ..lammps import Potential, located, run_lammps
from ..provenance import atomic_path
from ..settings import MDStage
from ..template import TEMPLATES, render
from .lammps_starts import TRAJECTORY, frames, joined, newest, step
from .schedule import Dynamics, Leg, Plan, Run, plan, problem_of

RESTARTS = 20
"""Restart files over a whole run: at most a twentieth of it is done twice."""


def write_md(
    work: Path,
    atoms: Atoms,
    potential: Potential,
    stages: Sequence[MDStage],
    dynamics: Dynamics,
    rng: np.random.Generator,
) -> None:
    """Write ``in.lammps`` of a run in `work`, and beside it all that it reads.

    Parameters
    ----------
    work : Path
    atoms : Atoms
        Start, periodic in all directions.
    potential, stages, dynamics
    rng : Generator
        Seed of the velocities.
    """
    _write_data(work, atoms, potential.elements)
    shutil.copyfile(potential.path, work / potential.file)
    commands = [
        f"pair_style      {potential.style}",
        f"pair_coeff      * * {potential.file} {' '.join(potential.elements)}",
    ]
    _write_input(work, commands, potential.elements, plan(stages, dynamics), dynamics, rng)


def _write_data(work: Path, atoms: Atoms, elements: Sequence[str]) -> None:
    with atomic_path(work / "structure.data") as path:
        write(
            path,
            atoms,
            format="lammps-data",
            specorder=list(elements),
            masses=True,
            atom_style="atomic",
        )


def _write_input(
    work: Path,
    commands: Sequence[str],
    elements: Sequence[str],
    schedule: Plan,
    dynamics: Dynamics,
    rng: np.random.Generator,
    restart: Path | None = None,
    restart_every: int = 0,
) -> None:
    done = 0 if restart is None else step(restart)
    render(
        TEMPLATES / "in.md.lammps.j2",
        work / "in.lammps",
        title=" / ".join(leg.stage.name for leg in schedule.legs),
        commands=commands,
        elements=elements,
        velocity_seed=int(rng.integers(1, 2**31 - 1)),
        timestep_ps=dynamics.timestep / 1000,
        every=schedule.every,
        dump_every=schedule.frame_every,
        trajectory=TRAJECTORY,
        temperature_damping=dynamics.temperature_damping,
        legs=[
            (leg, _damping(leg, max(done, leg.start), dynamics.pressure_damping))
            for leg in schedule.legs
            if leg.end > done
        ],
        first_temperature=schedule.legs[0].stage.temperature[0],
        restart=restart,
        restart_every=restart_every,
    )


def _damping(leg: Leg, step: int, damping: float) -> float:
    """Pdamp (ps) that gives the barostat the mass it has had from the start of the stage.

    LAMMPS sets this mass once in a run, in proportion to the temperature and to Pdamp squared.
    """
    return damping * float(np.sqrt(leg.targets(leg.start)[0] / leg.targets(step)[0]))


def run_md(work: Path, threads: int = 1) -> float:
    """Run what :func:`write_md` wrote; return the seconds of wall time.

    Raises
    ------
    StageError
        The run failed, or the system flew apart.
    """
    started = time.monotonic()
    finished, reason = run_lammps(work, threads, "molecular dynamics")
    if not finished:
        raise StageError(f"molecular dynamics in {work}: {reason}")
    return time.monotonic() - started


def run_resumable(
    work: Path,
    atoms: Atoms,
    commands: Sequence[str],
    elements: Sequence[str],
    schedule: Plan,
    dynamics: Dynamics,
    rng: np.random.Generator,
) -> Run:
    """Run a schedule, or what is left of it after a kill.

    Every start of the program has a folder of its own in `work`, so that nothing which a
    killed one wrote is touched again.

    Parameters
    ----------
    work, atoms
        As of :func:`write_md`.
    commands : sequence of str
        Lines that define the potential.
    elements : sequence of str
        Chemical symbols in the order of the types.
    schedule, dynamics, rng

    Raises
    ------
    StageError
        LAMMPS failed for another reason than atoms that fly apart.
    """
    earlier = sorted(work.glob("start-*"))
    restart = newest(earlier, schedule.end)
    folder = work / f"start-{len(earlier):03d}"
    folder.mkdir(parents=True)
    _write_data(folder, atoms, elements)
    frames_per_restart = max(1, schedule.end // schedule.frame_every // RESTARTS)
    _write_input(
        folder, located(commands), elements, schedule, dynamics, rng,
        None if restart is None else restart.resolve(), frames_per_restart * schedule.frame_every,
    )  # fmt: skip
    _, reason = run_lammps(folder, 1, "molecular dynamics")
    table = joined([*earlier, folder], schedule)
    reason = reason or problem_of(table, schedule.legs, atoms.get_volume())
    if reason:
        return Run(from_atoms([]), table, reason)
    kept = frames([*earlier, folder], table)
    return Run(kept.take(np.flatnonzero(kept.meta["step"] > 0)), table)


def md_thermo(work: Path, stages: Sequence[MDStage], dynamics: Dynamics) -> pd.DataFrame:
    """Thermodynamic output of a run of :func:`write_md`, with a column ``stage``."""
    return joined([work], plan(stages, dynamics))


def md_frames(work: Path, thermo: pd.DataFrame) -> Frames:
    """Frames of such a run; metadata: the thermodynamic output at their step, and the stage.

    Parameters
    ----------
    work : Path
    thermo : DataFrame
        Of :func:`md_thermo`.
    """
    return frames([work], thermo)
