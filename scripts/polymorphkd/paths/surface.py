"""The energy that a path climbs: that of any ASE calculator, at a pressure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from ..calculators import consistent_energy
from ..frames import Frames


class Surface:
    """Enthalpy H = E + p V of structures by one calculator; it counts its calls.

    Parameters
    ----------
    calculator : ASE calculator
        With energies, and for relaxations forces and stresses.
    pressure : float, eV/Å^3
        ``ase.units.GPa`` times a number of GPa.
    """

    def __init__(self, calculator: BaseCalculator, pressure: float = 0.0) -> None:
        self.calculator = calculator
        self.pressure = pressure
        self.calls = 0

    def enthalpy(self, atoms: Atoms) -> float:
        """Enthalpy of the whole cell, eV."""
        return self.enthalpy_with(self.with_calculator(atoms))

    def enthalpy_with(self, image: Atoms) -> float:
        """Enthalpy of a copy that :meth:`with_calculator` made, eV."""
        self.calls += 1
        return consistent_energy(image) + self.pressure * image.get_volume()

    def enthalpies(self, images: Iterable[Atoms]) -> np.ndarray:
        """Enthalpy of each structure, eV."""
        return np.array([self.enthalpy(atoms) for atoms in images])

    def of_frames(self, frames: Frames) -> np.ndarray:
        """Enthalpy of each frame, eV."""
        return self.enthalpies(frames.atoms(i) for i in range(len(frames)))

    def with_calculator(self, atoms: Atoms) -> Atoms:
        """Copy of a structure with the calculator attached."""
        image = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        image.calc = self.calculator
        return image
