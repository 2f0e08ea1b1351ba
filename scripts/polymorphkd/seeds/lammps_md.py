"""Molecular dynamics in LAMMPS along stages of temperature and pressure."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms
from ase.io import write

from ..errors import StageError
from ..frames import Frames
from ..lammps import Potential, read_thermo, run_lammps
from ..provenance import atomic_path
from ..readers import read_frames
from ..template import render

LINES_PER_FRAME = 10
"""Lines of thermodynamic output for each frame kept."""

TRAJECTORY = "md.lammpstrj"


@dataclass(frozen=True)
class Stage:
    """A stretch of NPT dynamics with linear ramps.

    Parameters
    ----------
    name : str
    temperature, pressure : tuple of float
        Start and end, K and GPa (hydrostatic).
    picoseconds : float
    """

    name: str
    temperature: tuple[float, float]
    pressure: tuple[float, float]
    picoseconds: float


@dataclass(frozen=True)
class Dynamics:
    """How the equations of motion are solved.

    Parameters
    ----------
    timestep : float, fs
    temperature_damping, pressure_damping : float, ps
        Relaxation times of the Nosé-Hoover thermostat and barostat.
    frames : int
        Frames kept over the whole run, the start not among them.
    """

    timestep: float = 0.5
    temperature_damping: float = 0.05
    pressure_damping: float = 0.5
    frames: int = 100


def write_md(
    work: Path,
    template: Path,
    atoms: Atoms,
    potential: Potential,
    stages: Sequence[Stage],
    dynamics: Dynamics,
    rng: np.random.Generator,
) -> None:
    """Write ``in.lammps`` of a run in `work`, and beside it all that it reads.

    Parameters
    ----------
    work : Path
    template : Path
        ``in.md.lammps.j2``.
    atoms : Atoms
        Start, periodic in all directions.
    potential, stages, dynamics
    rng : Generator
        Seed of the velocities.
    """
    with atomic_path(work / "structure.data") as path:
        write(
            path,
            atoms,
            format="lammps-data",
            specorder=list(potential.elements),
            masses=True,
            atom_style="atomic",
        )
    shutil.copyfile(potential.path, work / potential.file)
    steps = [round(1000 * stage.picoseconds / dynamics.timestep) for stage in stages]
    plan = [
        {"name": s.name, "temperature": s.temperature, "pressure": s.pressure, "steps": n}
        for s, n in zip(stages, steps, strict=True)
    ]
    every = max(1, sum(steps) // (LINES_PER_FRAME * dynamics.frames))
    render(
        template,
        work / "in.lammps",
        title=" / ".join(stage.name for stage in stages),
        potential=potential,
        velocity_seed=int(rng.integers(1, 2**31 - 1)),
        timestep_ps=dynamics.timestep / 1000,
        every=every,
        dump_every=LINES_PER_FRAME * every,
        trajectory=TRAJECTORY,
        temperature_damping=dynamics.temperature_damping,
        pressure_damping=dynamics.pressure_damping,
        stages=plan,
    )


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


def md_thermo(work: Path, stages: Sequence[Stage]) -> pd.DataFrame:
    """Thermodynamic output of all stages, with a column ``stage``; see `lammps.read_thermo`."""
    runs = read_thermo(work)
    named = [run.assign(stage=s.name) for run, s in zip(runs, stages, strict=True)]
    return pd.concat(named, ignore_index=True)


def md_frames(work: Path, thermo: pd.DataFrame) -> Frames:
    """Frames of a run; metadata: the thermodynamic output at their step, and the stage.

    Parameters
    ----------
    work : Path
    thermo : DataFrame
        Of :func:`md_thermo`.
    """
    frames = read_frames(work / TRAJECTORY)
    # A stage ends and the next one starts with the same step: the frame ends the stage.
    rows = thermo.drop_duplicates("step").set_index("step")
    rows = rows.loc[frames.meta["timestep"]].reset_index()
    return frames.with_meta(**{str(name): rows[name].to_numpy() for name in rows})
