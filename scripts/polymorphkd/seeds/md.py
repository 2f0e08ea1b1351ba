"""Short Langevin MD that heats and melts a seed cell with a cheap calculator."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from ..calculators import make_calculator
from ..settings import SeedMD


def snapshots(
    atoms: Atoms, temperature: float, settings: SeedMD, random: np.random.Generator
) -> list[Atoms]:
    """Frames from the second half of one constant-volume Langevin run.

    Parameters
    ----------
    atoms : Atoms
        Start; it is not changed.
    temperature : float, K
    settings : SeedMD
    random : Generator
        Velocities and noise come from it.
    """
    system = atoms.copy()
    system.calc = make_calculator(settings.calculator, settings.arguments)
    MaxwellBoltzmannDistribution(system, temperature_K=temperature, rng=random)
    dynamics = Langevin(
        system,
        timestep=settings.timestep * units.fs,
        temperature_K=temperature,
        friction=0.02 / units.fs,
        rng=random,
        fixcm=False,
    )
    half = settings.steps // 2
    stride = max(1, (settings.steps - half) // settings.snapshots)
    dynamics.run(half)
    kept = []
    for _ in range(settings.snapshots):
        dynamics.run(stride)
        image = system.copy()
        image.calc = None
        image.set_momenta(np.zeros((len(image), 3)))
        del image.arrays["momenta"]
        kept.append(image)
    return kept
