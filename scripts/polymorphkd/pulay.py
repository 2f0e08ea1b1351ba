"""Whether stresses are the derivatives of the energies, and the constant by which they are not.

A plane-wave basis that is not complete gives stresses at a constant number of waves and energies
at a constant cutoff.  The difference, the Pulay stress, is the same in all cells of a material
(Francis and Payne, J. Phys. Condens. Matter 2, 4395 (1990)), and no model can fit both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from ase import units
from ase.stress import voigt_6_to_full_3x3_stress

from .frames import Frames
from .labelled import has_stress

CLOSE = 0.1
"""Root mean square of the displacements between two strained copies, Å."""

LARGEST_STRAIN = 0.06
"""Strains between two copies: of larger ones the trapezoidal rule is too coarse."""

UNMOVED = 1e-4
"""Displacements up to this (root mean square, Å) are those of perfect copies."""

SMALLEST_CHANGE = 0.002
"""Relative changes of volume below this say nothing of a pressure."""

NEIGHBOURS = 4
"""Copies that each is compared with, next in volume."""

MOST = 3000
"""Frames of one composition that are looked at; of more, every second, third and so on."""

WORTH_SAYING = 0.5
"""Pulay pressures below this are not worth a word, GPa."""


@dataclass(frozen=True)
class Pulay:
    """What strained copies say: pressure of the labels less that of their energies."""

    pressure: float
    """GPa; negative where the stresses vanish at a smaller volume than the energy is lowest at."""
    error: float
    """Standard error of it, GPa."""
    pairs: int
    """Pairs of strained copies."""

    @property
    def certain(self) -> bool:
        """Whether it is large and known well enough to be taken off."""
        return abs(self.pressure) > max(WORTH_SAYING, 5 * self.error)

    def __str__(self) -> str:
        return f"{self.pressure:.2f} ± {self.error:.2f} GPa, from {self.pairs} pairs of copies"

    @property
    def advice(self) -> str:
        """What was found, and what to do where it is certain."""
        found = f"pressures of the labels less those of their energies: {self}"
        if not self.certain:
            return found
        return (
            f"{found}. No model can fit both: set split.pulay_pressure to {self.pressure:.1f}, or "
            "label with a higher cutoff energy"
        )


def without_pulay_stress(frames: Frames, pressure: float) -> Frames:
    """Frames whose stresses are freed from a constant pressure, in which they differ from -dE/dV.

    A plane-wave basis that is not complete gives stresses at a constant number of waves and
    energies at a constant cutoff; the difference is the same in all cells of a material (Francis
    and Payne, J. Phys. Condens. Matter 2, 4395 (1990)).  No model can have both.

    Parameters
    ----------
    frames : Frames
    pressure : float
        Pressure of the labels less that of their energies, GPa.  Negative where the stresses
        vanish at a smaller volume than the energy is lowest at.

    Returns
    -------
    Frames
        With ``stress`` + `pressure` on the diagonal (a stress is a negative pressure).
    """
    if frames.stress is None or not pressure:
        return frames
    shift = np.array([1, 1, 1, 0, 0, 0]) * pressure * units.GPa
    return replace(frames, stress=frames.stress + shift)


def pulay_pressure(frames: Frames) -> Pulay | None:
    """Pulay pressure of labels, from frames that are nearly strained copies of each other.

    Between two of them the energy changes by the work of stress and forces, ∫ V σ : dε - f · C ds
    (cell C, fractional coordinates s), here by the trapezoidal rule.  What the work lacks is a
    constant pressure times the change of volume, but for the error of the rule, which is of
    third order: the change of volume times its own square and times that of the displacements.
    Both are fitted with it.

    Parameters
    ----------
    frames : Frames
        With energies (eV), forces (eV/Å) and stresses (eV/Å^3); frames without a stress are
        left out.

    Returns
    -------
    Pulay or None
        None where there are fewer than three pairs.
    """
    frames = frames.take(np.flatnonzero(has_stress(frames) & frames.pbc.all(axis=1)))
    if not frames.labelled:
        return None
    pairs = [
        _pair(frames, i, j) for alike in _compositions(frames) for i, j in _near(frames, alike)
    ]
    found = np.array([pair for pair in pairs if pair is not None])
    if len(found) < 3:
        return None
    lacking, change, volume, moved = found.T
    parts = [np.ones(len(found)), (change / volume) ** 2]
    if moved.max() > UNMOVED:
        parts.append(moved**2)
    terms = change[:, None] * np.column_stack(parts)
    terms /= np.linalg.norm(terms, axis=0)
    scale = np.linalg.norm(change)
    solution, _, rank, _ = np.linalg.lstsq(terms, lacking, rcond=1e-6)
    freedom = len(found) - len(parts)
    if rank < len(parts) or freedom < 1:  # steps too much alike to tell the parts from each other
        return None
    rest = lacking - terms @ solution
    variance = rest @ rest / freedom * np.linalg.inv(terms.T @ terms)[0, 0]
    unit = scale * units.GPa
    return Pulay(float(solution[0] / unit), float(np.sqrt(variance) / unit), len(found))


def _compositions(frames: Frames) -> Iterator[np.ndarray]:
    """Frames of the same atoms in the same order, two or more."""
    groups: dict[bytes, list[int]] = {}
    for i in range(len(frames)):
        groups.setdefault(frames.numbers[frames.atoms_of(i)].tobytes(), []).append(i)
    for members in groups.values():
        if len(members) > 1:
            yield np.array(members[:: 1 + (len(members) - 1) // MOST])


def _fractional(frames: Frames, index: int) -> np.ndarray:
    places: np.ndarray = np.linalg.solve(
        frames.cells[index].T, frames.positions[frames.atoms_of(index)].T
    ).T
    return places


def _near(frames: Frames, alike: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of nearly equal fractional coordinates, next to each other in volume."""
    assert frames.energy is not None
    order = np.lexsort((frames.energy[alike], frames.volumes[alike].round(6)))
    alike = alike[order]  # whatever the order in the file
    angles = 2 * np.pi * np.array([_fractional(frames, i).ravel() for i in alike])
    waves = np.hstack([np.cos(angles), np.sin(angles)]).astype(np.float32)  # know no borders
    length = frames.volumes[alike] ** (1 / 3)
    n_atoms = angles.shape[1] / 3
    for place, i in enumerate(alike):
        cosines = waves[place + 1 :] @ waves[place]
        squares = 2 * (angles.shape[1] - cosines) / (2 * np.pi) ** 2 / n_atoms
        close = np.flatnonzero(squares * length[place] ** 2 < CLOSE**2)
        for other in close[:NEIGHBOURS]:
            yield int(i), int(alike[place + 1 + other])


def _pair(frames: Frames, i: int, j: int) -> tuple[float, float, float, float] | None:
    """Energy that the work lacks (eV), change of volume, volume (Å^3), displacement (Å)."""
    assert frames.energy is not None
    assert frames.stress is not None
    assert frames.forces is not None
    gradient = np.linalg.solve(frames.cells[i], frames.cells[j])  # row vectors: r' = r F
    strain = gradient - np.eye(3)
    volumes = frames.volumes[[i, j]]
    rates = (strain, np.linalg.solve(gradient, strain))
    change = np.mean([v * np.trace(r) for v, r in zip(volumes, rates, strict=True)])
    volume = volumes.mean()
    if np.abs(strain).max() > LARGEST_STRAIN or abs(change) < SMALLEST_CHANGE * volume:
        return None
    moved = _fractional(frames, j) - _fractional(frames, i)
    moved -= np.rint(moved)
    work = 0.0
    for k, rate in zip((i, j), rates, strict=True):
        stress = voigt_6_to_full_3x3_stress(frames.stress[k])
        work += 0.5 * frames.volumes[k] * np.sum(stress * rate)
        work -= 0.5 * np.sum(frames.forces[frames.atoms_of(k)] * (moved @ frames.cells[k]))
    distance = np.sqrt((moved @ frames.cells[i]).var(axis=0).sum())  # not of a common shift
    lacking = frames.energy[j] - frames.energy[i] - work
    return float(lacking), float(change), float(volume), float(distance)
