"""A DeePMD model as a predictor of whole frame sets, in this process or in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ase.data import chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress

from ..errors import InputError
from ..frames import Frames
from ..progress import logger
from .data import by_type, compositions, largest_neighbour_counts


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


@dataclass(frozen=True)
class Room:
    """How many neighbours of each element within a cutoff (Å) a model has room for."""

    cutoff: float
    sel: tuple[int, ...]

    @classmethod
    def of_descriptor(cls, descriptor: Mapping[str, Any]) -> Room | None:
        """Room of a ``se_*`` descriptor; None for families whose `sel` is not one per element."""
        sel = descriptor.get("sel")
        if not str(descriptor.get("type", "")).startswith("se_") or not isinstance(sel, list):
            return None
        return cls(float(descriptor["rcut"]), tuple(int(n) for n in sel))

    def warn(self, frames: Frames, elements: Sequence[str]) -> None:
        """Say where an atom has more neighbours than fit: the model drops the farthest of them."""
        counts, _ = largest_neighbour_counts(frames, elements, self.cutoff)
        for symbol, count, room in zip(elements, counts, self.sel, strict=True):
            if count > room:
                logger.warning(
                    "WARNING: an atom has %d neighbours of %s within %g Å and the model has room "
                    "for %d; it drops the others, and its forces are not those of its energy",
                    count,
                    symbol,
                    self.cutoff,
                    room,
                )


class DeepmdPredictor:
    """Labels from a DeePMD model.

    Parameters
    ----------
    potential : Potential
    room : Room, optional
        Warns of frames too dense for the model.
    """

    def __init__(self, potential: Potential, room: Room | None = None) -> None:
        self._potential = potential
        self._room = room
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
        if self._room is not None:
            self._room.warn(frames, self.elements)
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
