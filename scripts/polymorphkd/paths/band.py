"""Nudged elastic band in positions and cell together, by ASE's NEB.

The band of Sheppard et al. (J. Chem. Phys. 136, 074103 (2012)): an image is a vector of
the atoms' positions in the undeformed cell and of J times the strain of the cell.  ASE's
NEB sees it as N + 3 free particles, the last three of which are the rows of J (U - 1),
where the cell is ``cell0 @ U`` with a symmetric U; so the whole choice of springs,
tangents, climbing images and optimizers is ASE's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.mep import NEB
from ase.optimize import FIRE
from scipy.linalg import sqrtm

from .surface import Surface


@dataclass(frozen=True)
class Undeformed:
    """The undeformed cell that all images of a band refer to.

    Parameters
    ----------
    numbers : ndarray, shape (n_atoms,)
    cell : ndarray, shape (3, 3), Å
    factor : float, Å
        J = (V / N)^(1/3) N^(1/2).
    """

    numbers: np.ndarray
    cell: np.ndarray
    factor: float

    @classmethod
    def of(cls, atoms: Atoms) -> Undeformed:
        """The cell of a structure."""
        n = len(atoms)
        factor = (atoms.get_volume() / n) ** (1 / 3) * np.sqrt(n)
        return cls(atoms.numbers.copy(), atoms.cell.array.copy(), factor)

    def encode(self, atoms: Atoms) -> np.ndarray:
        """State of a structure, shape (n_atoms + 3, 3), Å; its orientation is dropped."""
        scaled = atoms.positions @ np.linalg.inv(atoms.cell.array)
        deformation = np.linalg.inv(self.cell) @ atoms.cell.array
        stretch = np.real(sqrtm(deformation @ deformation.T))
        return np.vstack([scaled @ self.cell, self.factor * (stretch - np.eye(3))])

    def stretch(self, state: np.ndarray) -> np.ndarray:
        """U of a state, shape (3, 3), symmetric."""
        rows = state[-3:] / self.factor
        return np.eye(3) + (rows + rows.T) / 2

    def decode(self, state: np.ndarray) -> Atoms:
        """Structure of a state."""
        stretch = self.stretch(state)
        return Atoms(
            self.numbers, positions=state[:-3] @ stretch, cell=self.cell @ stretch, pbc=True
        )


class StateCalculator(Calculator):
    """Enthalpy and its derivative by the state, for ASE's NEB."""

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012  (ASE's own declaration)

    def __init__(self, undeformed: Undeformed, surface: Surface) -> None:
        super().__init__()
        self.undeformed = undeformed
        self.surface = surface

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Enthalpy (eV) and generalised forces (eV/Å) of the state that `atoms` holds."""
        super().calculate(atoms, list(properties), list(system_changes))
        assert atoms is not None
        stretch = self.undeformed.stretch(atoms.positions)
        image = self.surface.with_calculator(self.undeformed.decode(atoms.positions))
        energy = self.surface.enthalpy_with(image)
        stress = image.get_stress(voigt=False) + self.surface.pressure * np.eye(3)
        gradient = image.get_volume() * np.linalg.inv(stretch) @ stress
        forces = np.vstack(
            [
                image.get_forces() @ stretch,
                -(gradient + gradient.T) / 2 / self.undeformed.factor,
            ]
        )
        self.results: dict[str, Any] = {"energy": energy, "free_energy": energy, "forces": forces}


@dataclass(frozen=True)
class BandSettings:
    """How a band is relaxed.

    Parameters
    ----------
    images : int
        Images between the ends.
    fmax : float, eV/Å
        Largest generalised force at the end.
    steps : int
        Most steps before climbing, and again with it.
    spring : float, eV/Å^2
    """

    images: int = 15
    fmax: float = 0.03
    steps: int = 500
    spring: float = 0.5


@dataclass(frozen=True)
class Band:
    """A relaxed band.

    Parameters
    ----------
    images : list of Atoms
        Both ends included.
    enthalpies : ndarray, shape (n,), float64, eV
    converged : bool
    residual : float, eV/Å
        Largest force that was left.
    """

    images: list[Atoms]
    enthalpies: np.ndarray
    converged: bool
    residual: float


def relax_band(path: Sequence[Atoms], surface: Surface, settings: BandSettings) -> Band:
    """Climbing-image NEB with a free cell, started from a path.

    Parameters
    ----------
    path : sequence of Atoms
        Two ends or more structures, of equal order of atoms and with coordinates that run
        on without jumps across the cell; the ends stay as they are.
    surface : Surface
        With forces and stresses.
    settings : BandSettings
    """
    undeformed = Undeformed.of(path[0])
    states = resampled([undeformed.encode(atoms) for atoms in path], settings.images + 2)
    particles = []
    for state in states:
        particle = Atoms(f"X{len(state)}", positions=state)
        particle.calc = StateCalculator(undeformed, surface)
        particles.append(particle)
    for climb in (False, True):
        neb = NEB(particles, k=settings.spring, climb=climb, method="improvedtangent")
        optimizer = FIRE(neb, logfile=None, maxstep=0.1)
        converged = bool(optimizer.run(fmax=settings.fmax, steps=settings.steps))
    residual = float(np.linalg.norm(neb.get_forces(), axis=1).max())
    images = [undeformed.decode(particle.positions) for particle in particles]
    enthalpies = np.array([particle.get_potential_energy() for particle in particles])
    return Band(images, enthalpies, converged, residual)


def resampled(states: Sequence[np.ndarray], n: int) -> np.ndarray:
    """`n` states evenly along the broken line through some states.

    Parameters
    ----------
    states : sequence of ndarray, shape (m, 3)
    n : int
        At least 2; the ends are kept.

    Returns
    -------
    ndarray, shape (n, m, 3)
    """
    line = np.array(states)
    steps = np.linalg.norm(np.diff(line, axis=0).reshape(len(line) - 1, -1), axis=1)
    places = np.concatenate([[0], np.cumsum(steps)])
    wanted = np.linspace(0, places[-1], n)
    flat = line.reshape(len(line), -1)
    columns = [np.interp(wanted, places, column) for column in flat.T]
    return np.array(columns).T.reshape(n, *line.shape[1:])
