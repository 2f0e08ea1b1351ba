"""Equation of state: lattice constant and bulk modulus of one crystal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from ase.eos import EquationOfState
from ase.units import GPa

from ..errors import StageError
from ..frames import from_atoms
from ..label import Engine
from ..predict import Predictor
from ..progress import logger
from ..seeds.prototypes import prototype
from ..settings import Properties

MAX_SCANS = 5
"""Times that a scan is moved when the minimum lies outside it."""

Energies = Callable[[list[Atoms]], np.ndarray]
"""Total energies (eV) of some cells."""


def engine_energies(engine: Engine) -> Energies:
    """Energies by a labelling engine, all with the k-point mesh of the middle cell."""

    def energies(images: list[Atoms]) -> np.ndarray:
        mesh_cell = images[len(images) // 2].cell.array
        values = []
        for image in images:
            result = engine.calculate(image, mesh_cell=mesh_cell)
            if result.energy is None:
                raise StageError(
                    f"properties: the equation of state needs all its energies, but the cell of "
                    f"{image.get_volume() / len(image):.2f} Å^3 per atom is {result.status}: "
                    f"{result.reason}"
                )
            volume = image.get_volume() / len(image)
            logger.info("%.2f Å^3/atom: %.1f s", volume, result.seconds)
            values.append(result.energy)
        return np.array(values)

    return energies


def predictor_energies(predictor: Predictor) -> Energies:
    """Energies by a model."""

    def energies(images: list[Atoms]) -> np.ndarray:
        predicted = predictor.predict(from_atoms(images)).energy
        assert predicted is not None
        return predicted

    return energies


def equation_of_state(
    energies: Energies, settings: Properties, symbol: str, volume_per_atom: float
) -> dict[str, Any]:
    """Third-order Birch-Murnaghan fit to a scan of volumes.

    The scan is moved until its lowest energy lies inside it.

    Parameters
    ----------
    energies : callable
        See :func:`engine_energies` and :func:`predictor_energies`.
    settings : Properties
    symbol : str
        Element that fills the crystal.
    volume_per_atom : float, Å^3
        Centre of the first scan.

    Returns
    -------
    dict
        For a crystal without a minimum near `volume_per_atom`: structure, a0_A and B0_GPa
        null, and ``problem``.  Else a0_A (edge of the conventional cell, Å; for hcp the
        basal a at ideal c/a), B0_GPa, V0_A3_per_atom, E0_eV_per_atom, structure,
        volumes_A3_per_atom, energies_eV_per_atom.

    """
    centre = volume_per_atom
    for _ in range(MAX_SCANS):
        strains = np.linspace(-settings.volume_range, settings.volume_range, settings.points)
        images = [prototype(settings.structure, symbol, centre * (1 + s)) for s in strains]
        n_atoms = len(images[0])
        volumes = np.array([image.get_volume() for image in images]) / n_atoms
        values = energies(images) / n_atoms
        lowest = int(np.argmin(values))
        if 0 < lowest < settings.points - 1:
            return _fit(volumes, values, settings.structure, images[0])
        centre = float(volumes[lowest])
        logger.info("the minimum lies outside the scan; next centre %.2f Å^3 per atom", centre)
    problem = (
        f"{settings.structure} {symbol} has no energy minimum near "
        f"{volume_per_atom:.2f} Å^3 per atom"
    )
    return {"structure": settings.structure, "a0_A": None, "B0_GPa": None, "problem": problem}


def summary(result: dict[str, Any]) -> str:
    """One line for the log."""
    if result["a0_A"] is None:
        return str(result["problem"])
    return f"a0 {result['a0_A']:.4f} Å, B0 {result['B0_GPa']:.1f} GPa"


def _fit(volumes: np.ndarray, values: np.ndarray, structure: str, cell: Atoms) -> dict[str, Any]:
    v0, e0, modulus = EquationOfState(volumes, values, eos="birchmurnaghan").fit(warn=False)
    edge = cell.cell.lengths()[0] * (v0 * len(cell) / cell.get_volume()) ** (1 / 3)
    return {
        "structure": structure,
        "a0_A": float(edge),
        "B0_GPa": float(modulus / GPa),
        "V0_A3_per_atom": float(v0),
        "E0_eV_per_atom": float(e0),
        "volumes_A3_per_atom": volumes.tolist(),
        "energies_eV_per_atom": values.tolist(),
    }
