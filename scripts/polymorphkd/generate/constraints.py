"""What a mutant must obey to join the library, and why one was rejected."""

from __future__ import annotations

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from ase.geometry import minkowski_reduce

from ..calculators import make_calculator
from ..errors import ConfigError
from ..frames import Frames
from ..landscape.images import complete_cells
from ..landscape.local import closeness
from ..settings import Constraints, Gate
from .individuals import Member, Structures, extents, side_by_side

REASONS = ("", "volume", "angle", "aspect", "distance")
"""Outcome of the geometric checks, in the order in which they are made."""

QUALITY_REACH = 1.25
"""Distances are looked at up to this multiple of the largest allowed one."""


class Checker:
    """Geometric constraints of one run.

    Parameters
    ----------
    settings : Constraints
    seeds : Frames
        Their species are the allowed ones.

    Raises
    ------
    ConfigError
        ``min_distance`` names a pair that is not two of the species present.
    """

    def __init__(self, settings: Constraints, seeds: Frames) -> None:
        self.settings = settings
        self.species = np.unique(seeds.numbers)
        radii = covalent_radii[self.species]
        self.smallest = settings.min_distance_factor * (radii[:, None] + radii[None, :])
        for pair, value in settings.min_distance.items():
            i, j = self._indices(pair)
            self.smallest[i, j] = self.smallest[j, i] = value

    def _indices(self, pair: str) -> tuple[int, int]:
        symbols = pair.split("-")
        known = [int(np.searchsorted(self.species, atomic_numbers.get(s, 0))) for s in symbols]
        valid = [
            k < len(self.species) and self.species[k] == atomic_numbers.get(s)
            for k, s in zip(known, symbols, strict=True)
        ]
        if len(symbols) != 2 or not all(valid):
            present = ", ".join(chemical_symbols[number] for number in self.species)
            raise ConfigError(
                f"generate.constraints.min_distance: {pair!r}: expected two of the elements "
                f"present ({present}), such as {chemical_symbols[self.species[0]]}-"
                f"{chemical_symbols[self.species[-1]]}"
            )
        return known[0], known[1]

    def check(self, structures: Structures, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which constraint each structure breaks, and how close its atoms are.

        Parameters
        ----------
        structures : Structures
        own : ndarray, shape (n,)
            Extent (volume, area, length) that the window of each is relative to; see
            :func:`reference_extents`.

        Returns
        -------
        outcome : ndarray, shape (n,), int
            Index into `REASONS`; 0 is accepted.
        quality : ndarray, shape (n,), float64
            Smallest ratio of a distance to the allowed one of its pair (`QUALITY_REACH` at most).
        """
        outcome = self._cells(structures, own)
        quality = np.full(len(outcome), QUALITY_REACH)
        todo = np.flatnonzero(outcome == 0)
        if len(todo):
            chosen = structures.take(todo)
            kinds = np.searchsorted(self.species, chosen.numbers)
            found = np.empty(len(todo))
            reach = QUALITY_REACH * float(self.smallest.max())
            cells = complete_cells(chosen.cells, chosen.pbc)
            closeness(
                chosen.offsets, chosen.positions, kinds, cells, chosen.pbc, self.smallest,
                reach, found,
            )  # fmt: skip
            quality[todo] = np.minimum(found, QUALITY_REACH)
            outcome[todo[found < 1]] = REASONS.index("distance")
        return outcome, quality

    def _cells(self, structures: Structures, own: np.ndarray) -> np.ndarray:
        """Index of the first constraint of the cell that is broken, or 0."""
        cells, pbc = structures.cells, structures.pbc
        outcome = np.zeros(len(cells), dtype=np.int64)
        periodic = pbc.any(axis=1)
        ratio = np.divide(extents(cells, pbc), own, out=np.ones(len(cells)), where=own > 0)
        low, high = self.settings.volume_window
        angles, aspects = cell_shapes(cells, pbc)
        narrow, wide = self.settings.angle_window
        bad_angle = ((angles < narrow) | (angles > wide)).any(axis=1)
        outcome[periodic & (aspects > self.settings.max_aspect)] = REASONS.index("aspect")
        outcome[periodic & bad_angle] = REASONS.index("angle")
        outcome[periodic & ~((ratio >= low) & (ratio <= high))] = REASONS.index("volume")
        return outcome

    def reduce(self, structures: Structures) -> dict[int, np.ndarray]:
        """Replace skewed cells by their Minkowski-reduced ones; atoms stay where they are.

        Returns
        -------
        dict
            Index of each structure whose cell was replaced, with the integer matrix that
            made the new vectors of the old ones, shape (3, 3).
        """
        angles, aspects = cell_shapes(structures.cells, structures.pbc)
        narrow, wide = self.settings.angle_window
        skewed = ((angles < narrow) | (angles > wide)).any(axis=1)
        skewed |= aspects > self.settings.max_aspect
        done = {}
        for i in np.flatnonzero(skewed).tolist():
            cell, operation = minkowski_reduce(structures.cells[i], structures.pbc[i])
            if not np.array_equal(operation, np.eye(3)):
                structures.cells[i] = np.asarray(cell)
                done[i] = operation
        return done

    def fit(self, founders: list[Member]) -> list[Member]:
        """Those of the seeds that obey the constraints, with their quality.

        Raises
        ------
        ConfigError
            Not one seed does.
        """
        own = np.array([member.founder.extent for member in founders])
        outcome, quality = self.check(side_by_side(founders), own)
        if (outcome > 0).all():
            counts = ", ".join(
                f"{int((outcome == k).sum())} for {REASONS[k]}" for k in np.unique(outcome)
            )
            raise ConfigError(
                f"generate.constraints: none of the {len(founders)} seeds obeys them (refused: "
                f"{counts}); widen them, or give other seeds"
            )
        for member, value in zip(founders, quality.tolist(), strict=True):
            member.quality = value
        return [member for member, code in zip(founders, outcome, strict=True) if code == 0]


def reference_extents(seeds: Frames, window: tuple[float, float]) -> np.ndarray:
    """What the volume window of the descendants of each seed is relative to.

    Of seeds that are periodic in all directions: the median volume per atom of those of the
    same composition, times the number of atoms; but its own volume for a seed beyond the
    window around that, such as diamond among graphites.  Of slabs and chains: their own
    area or length.

    Parameters
    ----------
    seeds : Frames
    window : tuple of float
        Lower and upper limit relative to the reference.

    Returns
    -------
    ndarray, shape (n,), Å^3, Å^2 or Å
    """
    own = extents(seeds.cells, seeds.pbc)
    result = own.copy()
    groups: dict[tuple[tuple[int, float], ...], list[int]] = {}
    for i in np.flatnonzero(seeds.pbc.all(axis=1)).tolist():
        kinds, counts = np.unique(seeds.numbers[seeds.atoms_of(i)], return_counts=True)
        shares = np.round(counts / counts.sum(), 6)
        groups.setdefault(tuple(zip(kinds.tolist(), shares.tolist(), strict=True)), []).append(i)
    for members in groups.values():
        n_atoms = seeds.n_atoms[members]
        reference = np.median(own[members] / n_atoms) * n_atoms
        ratio = own[members] / reference
        inside = (ratio >= window[0]) & (ratio <= window[1])
        result[members] = np.where(inside, reference, own[members])
    return result


def cell_shapes(cells: np.ndarray, pbc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angles between periodic vectors, and the aspect of the cell they span.

    Parameters
    ----------
    cells : ndarray, shape (n, 3, 3), Å
    pbc : ndarray, shape (n, 3), bool

    Returns
    -------
    angles : ndarray, shape (n, 3), degrees
        90 where one of the two vectors is not periodic.
    aspects : ndarray, shape (n,)
        Longest periodic edge over the smallest height along a periodic vector; 1 for none.
    """
    gram = cells @ cells.transpose(0, 2, 1)
    gram = np.where(pbc[:, :, None] & pbc[:, None, :], gram, np.eye(3))
    lengths = np.sqrt(np.einsum("nii->ni", gram))
    pairs = ((1, 2), (0, 2), (0, 1))
    cosines = np.stack([gram[:, i, j] / (lengths[:, i] * lengths[:, j]) for i, j in pairs], axis=1)
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    heights = 1 / np.sqrt(np.abs(np.einsum("nii->ni", np.linalg.inv(gram))))
    longest = np.where(pbc, lengths, 0.0).max(axis=1)
    lowest = np.where(pbc, heights, np.inf).min(axis=1)
    aspects = np.divide(longest, lowest, out=np.ones(len(cells)), where=pbc.any(axis=1))
    return angles, aspects


def lowest_energy(settings: Gate, seeds: Frames) -> float:
    """Lowest energy of the seeds by the gate's calculator, eV per atom; 0 if not needed."""
    if settings.max_energy is None:
        return 0.0
    calculator = make_calculator(settings.calculator, settings.arguments)
    energies = []
    for atoms in seeds.to_atoms():
        atoms.calc = calculator
        energies.append(float(atoms.get_potential_energy()) / len(atoms))
    return min(energies)


class EnergyGate:
    """Limits of force and energy by a cheap calculator.

    Parameters
    ----------
    settings : Gate
    lowest : float
        Energy that ``max_energy`` counts from, eV per atom; see :func:`lowest_energy`.
    """

    def __init__(self, settings: Gate, lowest: float) -> None:
        self.settings = settings
        self.lowest = lowest
        self.calculator = make_calculator(settings.calculator, settings.arguments)

    def reason(self, frames: Frames, i: int) -> str:
        """``force`` or ``energy`` where frame `i` is beyond the limit, else empty."""
        atoms = frames.atoms(i)
        atoms.calc = self.calculator
        limit = self.settings.max_force
        # "not at most": a force that is no number must not pass.
        if limit is not None and not np.linalg.norm(atoms.get_forces(), axis=1).max() <= limit:
            return "force"
        if self.settings.max_energy is None:
            return ""
        above = float(atoms.get_potential_energy()) / len(atoms) - self.lowest
        return "" if above <= self.settings.max_energy else "energy"
