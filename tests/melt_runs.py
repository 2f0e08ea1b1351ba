"""Starts a melt-quench run that a test kills: python melt_runs.py PROGRAM FOLDER."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from polymorphkd.seeds.ase_md import run_ase
from polymorphkd.seeds.lammps_md import run_resumable
from polymorphkd.seeds.schedule import Dynamics, Run, plan
from polymorphkd.settings import MDStage

ARGON = ["pair_style lj/cut 8.0", "pair_coeff 1 1 0.0104 3.4"]


class SlowEMT(EMT):
    """Takes its time, so that there is something to kill; or breaks at a call."""

    def __init__(self, delay: float = 0.0, broken_at: int = 0, energy: float | None = None):
        super().__init__()
        self.delay, self.broken_at, self.wrong_energy = delay, broken_at, energy
        self.calls = 0

    def calculate(self, *arguments: Any, **keywords: Any) -> None:
        self.calls += 1
        time.sleep(self.delay)
        super().calculate(*arguments, **keywords)
        if self.broken_at and self.calls >= self.broken_at:
            if self.wrong_energy is None:
                raise RuntimeError("neighbour list overflow")
            self.results["energy"] = self.results["free_energy"] = self.wrong_energy


class NoStress(EMT):
    """Energies and forces alone."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]


def stage(name: str, temperature: Any, pressure: Any, picoseconds: float) -> MDStage:
    return MDStage(name=name, temperature=temperature, pressure=pressure, picoseconds=picoseconds)


def copper_run(work: Path, seed: int = 1, **calculator: Any) -> Run:
    """Four atoms, 120 steps in 12 blocks, at constant pressure and then at constant volume."""
    dynamics = Dynamics(5.0, 0.1, 0.3, 12)
    stages = [stage("heat", (300, 900), (0, 5), 0.36), stage("hold", (900, 900), None, 0.24)]
    return run_ase(
        work, bulk("Cu", cubic=True), SlowEMT(**calculator), plan(stages, dynamics), dynamics,
        np.random.default_rng(seed),
    )  # fmt: skip


ARGON_DYNAMICS = Dynamics(4.0, 0.1, 1.0, 40)
ARGON_STAGES = [
    stage("melt", (20, 150), (0.05, 0.05), 9.6),
    stage("quench", (150, 20), (0.05, 0.0), 9.6),
]


def argon_run(work: Path, dynamics: Dynamics = ARGON_DYNAMICS) -> Run:
    """108 atoms of argon, 4,800 steps."""
    return run_resumable(
        work, bulk("Ar", "fcc", 5.3, cubic=True).repeat(3), ARGON, ["Ar"],
        plan(ARGON_STAGES, dynamics), dynamics, np.random.default_rng(2),
    )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1] == "ase":
        copper_run(Path(sys.argv[2]), delay=0.02)
    else:
        argon_run(Path(sys.argv[2]))
