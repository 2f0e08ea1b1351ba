"""A DeePMD model as a predictor of whole frame sets, in this process or in another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from ase.data import chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress

from ..errors import InputError
from ..frames import Frames
from .data import by_type, compositions


class Potential(Protocol):
    """What is used of ``deepmd.infer.DeepPot``."""

    def get_type_map(self) -> list[str]:
        """Chemical symbols of the types, in order."""
        ...

    def eval(
        self, coords: np.ndarray, cells: np.ndarray, atom_types: Sequence[int]
    ) -> tuple[np.ndarray, ...]:
        """Energy (n, 1) in eV, forces (n, n_atoms, 3) in eV/Å and virial (n, 9) in eV.

        Of n frames of one composition: coords (n, 3 n_atoms) and cells (n, 9) in Å.
        """
        ...


class DeepmdPredictor:
    """Labels from a DeePMD model.

    Parameters
    ----------
    potential : Potential
    """

    def __init__(self, potential: Potential) -> None:
        self._potential = potential
        self.elements: list[str] = list(potential.get_type_map())

    def predict(self, frames: Frames) -> Frames:
        """Energies (eV), forces (eV/Å) and stresses (eV/Å^3); see `predict.Predictor`.

        Raises
        ------
        InputError
            An element that the model does not know, or a frame that is not periodic.
        """
        if not frames.pbc.all():
            index = int(np.flatnonzero(~frames.pbc.all(axis=1))[0])
            raise InputError(
                f"frame {index} is not periodic along all three axes; a DeePMD model is "
                "evaluated here for periodic cells only"
            )
        result = frames.without_labels()
        result.energy = np.zeros(len(frames))
        result.forces = np.zeros((len(frames.numbers), 3))
        result.stress = np.zeros((len(frames), 6))
        order = by_type(frames, self.elements)
        numbers = {symbol: n for n, symbol in enumerate(self.elements)}
        for indices in compositions(frames, self.elements).values():
            atoms = np.array([order[frames.atoms_of(int(i))] for i in indices])
            types = [numbers[chemical_symbols[n]] for n in frames.numbers[atoms[0]]]
            energy, forces, virial = self._potential.eval(
                frames.positions[atoms].reshape(len(indices), -1),
                frames.cells[indices].reshape(-1, 9),
                types,
            )[:3]
            result.energy[indices] = energy.reshape(-1)
            result.forces[atoms] = forces
            stress = -virial.reshape(-1, 3, 3) / frames.volumes[indices][:, None, None]
            result.stress[indices] = [full_3x3_to_voigt_6_stress(one) for one in stress]
        return result
