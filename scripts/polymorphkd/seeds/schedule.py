"""A schedule of molecular dynamics in steps: what is aimed at, and when a frame is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from ase import Atoms

from ..frames import Frames
from ..settings import MDStage
from ..settings.seeds import LINES_PER_FRAME

HOTTEST = 10.0
"""A run that is so many times hotter than its schedule ever asks for has flown apart."""

VOLUMES = (0.2, 5.0)
"""Volume over that of the start outside of which a run has collapsed or flown apart."""


@dataclass(frozen=True)
class Dynamics:
    """How the equations of motion are solved, and how much of the run is kept.

    Parameters
    ----------
    timestep : float, fs
    temperature_damping, pressure_damping : float, ps
        Relaxation times of thermostat and barostat.
    frames : int
        Frames kept over the whole run, the start not among them.
    """

    timestep: float = 0.5
    temperature_damping: float = 0.05
    pressure_damping: float = 0.5
    frames: int = 100


@dataclass(frozen=True)
class Leg:
    """A stage of a schedule with its first and last step."""

    stage: MDStage
    start: int
    end: int

    def targets(self, step: float) -> tuple[float, float | None]:
        """Temperature (K) and pressure (GPa, or None at constant volume) aimed at."""
        share = (step - self.start) / (self.end - self.start)
        (hot, cold), pressure = self.stage.temperature, self.stage.pressure
        aimed = None if pressure is None else pressure[0] + share * (pressure[1] - pressure[0])
        return hot + share * (cold - hot), aimed


@dataclass(frozen=True)
class Plan:
    """A whole schedule.

    Parameters
    ----------
    legs : tuple of Leg
        One after the other, from step 0.
    every, frame_every : int
        Steps between two lines of the table, and between two frames.
    """

    legs: tuple[Leg, ...]
    every: int
    frame_every: int

    @property
    def end(self) -> int:
        """The last step."""
        return self.legs[-1].end

    def leg(self, step: int) -> Leg:
        """Stage that the dynamics from `step` on belongs to."""
        return next(leg for leg in self.legs if step < leg.end)

    def stage_names(self, steps: np.ndarray) -> np.ndarray:
        """Stage that each of `steps` belongs to; the last step of a stage ends it."""
        ends = [leg.end for leg in self.legs]
        names = np.array([leg.stage.name for leg in self.legs])
        return names[np.searchsorted(ends, steps, side="left")]

    def aims(self, steps: np.ndarray) -> np.ndarray:
        """Temperature (K) and pressure (GPa, NaN at constant volume), shape (n, 2)."""
        ends = [leg.end for leg in self.legs]
        found = [
            self.legs[k].targets(step)
            for k, step in zip(np.searchsorted(ends, steps), steps, strict=True)
        ]
        return np.array(found, dtype=float)


def plan(stages: Sequence[MDStage], dynamics: Dynamics) -> Plan:
    """Schedule in steps; every frame is also a line of the table."""
    ends = np.cumsum([round(1000 * s.picoseconds / dynamics.timestep) for s in stages]).tolist()
    legs = tuple(
        Leg(stage, start, end) for stage, start, end in zip(stages, [0, *ends], ends, strict=False)
    )
    every = max(1, ends[-1] // (LINES_PER_FRAME * dynamics.frames))
    return Plan(legs, every, LINES_PER_FRAME * every)


def problem_of(table: pd.DataFrame, legs: Sequence[Leg], volume: float) -> str:
    """Why a run cannot be trusted, with the step, or nothing.

    Parameters
    ----------
    table : DataFrame
        With step, temperature_K, potential_eV and volume_A3.
    legs : sequence of Leg
    volume : float, Å^3
        Of the start.
    """
    limit = HOTTEST * max(max(leg.stage.temperature) for leg in legs)
    ratio = table["volume_A3"] / volume
    for wrong, text in (
        (~np.isfinite(table["potential_eV"] + table["temperature_K"]), "the energy is no number"),
        (~(table["temperature_K"] < limit), f"hotter than {limit:.0f} K"),
        (~ratio.between(*VOLUMES), "the volume left {:g} to {:g} times that of the start".format(
            *VOLUMES)),
    ):  # fmt: skip
        if wrong.any():
            return f"step {int(table.loc[wrong, 'step'].iloc[0])}: {text}"
    return ""


@dataclass(frozen=True)
class Run:
    """What a run gave.

    Parameters
    ----------
    frames : Frames
        Metadata: the line of the table at their step.  None if the run failed.
    table : DataFrame
        step, stage, time_ps, temperature_K, potential_eV, total_eV, pressure_bar, volume_A3.
    reason : str
        Why it failed, or nothing.
    """

    frames: Frames
    table: pd.DataFrame
    reason: str = ""


def bare(atoms: Atoms) -> Atoms:
    """Species, cell and positions alone."""
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
