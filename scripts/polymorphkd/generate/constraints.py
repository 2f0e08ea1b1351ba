"""What a mutant must obey to join the library, and why one was rejected."""

from __future__ import annotations

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from ase.geometry import cell_to_cellpar

from ..errors import ConfigError
from ..frames import Frames
from ..landscape.local import minimum_distances
from ..settings import Constraints


class Checker:
    """Geometric constraints of one run.

    Parameters
    ----------
    settings : Constraints
    seeds : Frames
        Their median volume per atom is the reference of the volume window, their species
        are the allowed ones.

    Raises
    ------
    ConfigError
        ``min_distance`` names a pair that is not two of the species present.
    """

    def __init__(self, settings: Constraints, seeds: Frames) -> None:
        self.settings = settings
        self.species = np.unique(seeds.numbers)
        bulk = seeds.pbc.all(axis=1)
        volumes = (seeds.volumes / seeds.n_atoms)[bulk]
        self.volume = float(np.median(volumes)) if len(volumes) else np.nan
        radii = covalent_radii[self.species]
        self.smallest = settings.min_distance_factor * (radii[:, None] + radii[None, :])
        for pair, value in settings.min_distance.items():
            i, j = self._indices(pair)
            self.smallest[i, j] = self.smallest[j, i] = value
        self._found = np.empty_like(self.smallest)

    def _indices(self, pair: str) -> tuple[int, int]:
        symbols = pair.split("-")
        known = [int(np.searchsorted(self.species, atomic_numbers.get(s, 0))) for s in symbols]
        valid = [
            k < len(self.species) and self.species[k] == atomic_numbers.get(s)
            for k, s in zip(known, symbols, strict=True)
        ]
        if len(symbols) != 2 or not all(valid):
            raise ConfigError(
                f"generate.constraints.min_distance: {pair!r}: expected two of the elements "
                "present, such as Al-Al"
            )
        return known[0], known[1]

    def reason(
        self, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray
    ) -> str:
        """Why a structure is rejected (volume, angle, aspect, distance), or an empty string.

        Parameters
        ----------
        numbers : ndarray, shape (n,)
        positions : ndarray, shape (n, 3), Å
        cell : ndarray, shape (3, 3), Å
        pbc : ndarray, shape (3,), bool
        """
        if pbc.all():
            volume = abs(np.linalg.det(cell))
            low, high = self.settings.volume_window
            if not low <= volume / len(numbers) / self.volume <= high:
                return "volume"
            parameters = cell_to_cellpar(cell)
            if not np.all(
                (parameters[3:] >= self.settings.angle_window[0])
                & (parameters[3:] <= self.settings.angle_window[1])
            ):
                return "angle"
            heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
            if parameters[:3].max() / heights.min() > self.settings.max_aspect:
                return "aspect"
        kinds = np.searchsorted(self.species, numbers)
        reach = float(self.smallest.max())
        basis = np.where(pbc[:, None], cell, np.eye(3))
        minimum_distances(positions, kinds, basis, pbc, reach, self._found)
        return "distance" if np.any(self._found < self.smallest) else ""
