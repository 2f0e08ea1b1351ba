"""Whether stresses are the derivatives of the energies, and the constant by which they are not.

A plane-wave basis that is not complete gives stresses at a constant number of waves and energies
at a constant cutoff.  The difference, the Pulay stress, is 2/3 of the cutoff times the
derivative of the energy by it (Francis and Payne, J. Phys. Condens. Matter 2, 4395 (1990)).
That energy belongs to the atoms, so pressure times volume is off by a constant per atom:
vacuum has no part in it.  No model can fit both such stresses and the energies.
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

CHANGES = (0.005, 0.06)
"""Relative changes of volume between two copies: smaller ones say nothing, of larger ones the
quadrature is too coarse.  The latter holds for strains of the shape as well."""

NEIGHBOURS = 4
"""Copies that each is compared with, next in volume."""

MOST = 3000
"""Frames of one composition that are looked at; of more, every second, third and so on."""

ENOUGH = 6
"""Frames, and pairs, below which nothing is certain."""

STIFFENING = (2.5, 1.5)
"""B' - 2 of solids, and how much it differs between them (B' is the pressure derivative of
the bulk modulus)."""

GRUENEISEN = (2.0, 1.0)
"""Grüneisen parameter of solids, and how much it differs between them."""

WORTH_SAYING = 0.5
"""Pulay pressures below this are not worth a word, GPa."""


@dataclass(frozen=True)
class Pulay:
    """Pressure times volume of the labels less that of their energies, by strained copies."""

    virial: float
    """eV per atom; negative where the stresses vanish at a smaller volume than the energy is
    lowest at."""
    error: float
    """Of it: standard error and what the quadrature may be wrong by, eV per atom."""
    density: float
    """Mean number density of the copies, 1/Å^3."""
    pairs: int
    """Pairs of strained copies."""
    frames: int
    """Frames in these pairs."""

    @property
    def pressure(self) -> float:
        """The same as a pressure at the mean density, GPa."""
        return self.virial * self.density / units.GPa

    @property
    def telling(self) -> bool:
        """Whether it is known well enough to be spoken of."""
        return self.error * self.density / units.GPa < WORTH_SAYING

    @property
    def certain(self) -> bool:
        """Whether it is large and known well enough to be taken off."""
        large = abs(self.pressure) > WORTH_SAYING and abs(self.virial) > 4 * self.error
        return large and min(self.frames, self.pairs) >= ENOUGH

    def advice(self, already: float = 0.0) -> str:
        """What was found, and what to set where it is certain.

        Parameters
        ----------
        already : float
            Value of ``split.pulay_virial`` that does not count yet in what was found.
        """
        found = (
            "pressure times volume of the labels less that of their energies: "
            f"{self.virial:.3f} ± {self.error:.3f} eV per atom ({self.pressure:.2f} GPa), from "
            f"{self.pairs} pairs of strained copies"
        )
        if not self.certain or abs(self.virial - already) < 0.1 * abs(self.virial):
            return found
        return (
            f"WARNING: {found}. No model can fit both: set split.pulay_virial to "
            f"{self.virial:.3f}, or label with a higher cutoff energy"
        )


def without_pulay_stress(frames: Frames, virial: float) -> Frames:
    """Frames whose stresses are freed from what an incomplete basis adds to them.

    Parameters
    ----------
    frames : Frames
    virial : float
        Pressure times volume of the labels less that of their energies, eV per atom.

    Returns
    -------
    Frames
        With ``stress`` + `virial` n/V on the diagonal (a stress is a negative pressure).
    """
    if frames.stress is None or not virial:
        return frames
    shift = virial * frames.n_atoms / frames.volumes
    return replace(frames, stress=frames.stress + shift[:, None] * [1, 1, 1, 0, 0, 0])


def pulay_virial(frames: Frames) -> Pulay | None:
    """Pulay stress of labels, from frames that are nearly strained copies of each other.

    Between two of them the energy changes by the work of stress and forces, ∫ V σ : dε - f · C ds
    (cell C, fractional coordinates s), here by the trapezoidal rule.  What the work lacks is the
    constant times the change of ln V per atom, and the error of the rule, which is of third
    order: it follows from how the work changes along the way, with the usual stiffening of
    solids.  The spread of that among solids is part of the error.

    Parameters
    ----------
    frames : Frames
        With energies (eV), forces (eV/Å) and stresses (eV/Å^3); frames that lack one, and those
        that are not periodic, are left out.

    Returns
    -------
    Pulay or None
        None where there are no two pairs.
    """
    frames = _usable(frames)
    pairs = [pair for alike in _compositions(frames) for pair in _pairs(frames, alike)]
    if len(pairs) < 2:
        return None
    change, lacking, doubt = np.array([pair.terms for pair in pairs]).T
    square = change @ change
    virial = change @ lacking / square
    rest = lacking - virial * change
    used = np.unique([(pair.first, pair.second) for pair in pairs])
    # A frame is in several pairs, so frames count, not pairs.
    freedom = max(1, min(len(pairs), len(used)) - 1)
    scatter = np.sqrt(rest @ rest / freedom / square)
    density = float((frames.n_atoms / frames.volumes)[used].mean())
    error = float(scatter + np.abs(change) @ doubt / square)
    return Pulay(float(virial), error, density, len(pairs), len(used))


def _usable(frames: Frames) -> Frames:
    if not frames.labelled:
        return frames.take([])
    assert frames.energy is not None
    assert frames.forces is not None
    bad_atoms = ~np.isfinite(frames.forces).all(axis=1)
    bad = np.add.reduceat(bad_atoms, frames.offsets[:-1]) if len(frames) else bad_atoms
    good = has_stress(frames) & frames.pbc.all(axis=1) & np.isfinite(frames.energy)
    return frames.take(np.flatnonzero(good & (bad == 0) & (frames.volumes > 1e-6)))


def _compositions(frames: Frames) -> Iterator[np.ndarray]:
    """Frames of the same atoms in the same order, two or more."""
    groups: dict[bytes, list[int]] = {}
    for i in range(len(frames)):
        groups.setdefault(frames.numbers[frames.atoms_of(i)].tobytes(), []).append(i)
    for members in groups.values():
        if len(members) > 1:
            yield np.array(members[:: 1 + (len(members) - 1) // MOST])


@dataclass(frozen=True)
class _Pair:
    first: int
    second: int
    terms: tuple[float, float, float]
    """n Δ ln V, energy that the work lacks, and what the quadrature may be wrong by (eV)."""


def _pairs(frames: Frames, alike: np.ndarray) -> Iterator[_Pair]:
    """Strained copies among frames of one composition, next to each other in volume."""
    assert frames.energy is not None
    volumes = frames.volumes[alike]
    order = np.lexsort((frames.energy[alike], volumes.round(6)))  # whatever the order in the file
    alike, volumes = alike[order], volumes[order]
    places = np.array([_fractional(frames, i) for i in alike])
    angles = 2 * np.pi * places.reshape(len(alike), -1)
    waves = np.hstack([np.cos(angles), np.sin(angles)]).astype(np.float32)  # know no borders
    edges = np.linalg.norm(frames.cells[alike], axis=2)
    n_atoms = places.shape[1]
    for i in range(len(alike)):
        start, end = np.searchsorted(volumes, volumes[i] * (1 + np.array(CHANGES)))
        squares = np.tile(np.tile(edges[i] ** 2, n_atoms), 2).astype(np.float32)
        cosines = waves[start:end] @ (squares * waves[i])
        far = 2 * (squares.sum() / 2 - cosines) / (2 * np.pi) ** 2 / n_atoms
        taken = 0
        for other in np.flatnonzero(far < (2 * CLOSE) ** 2):  # cells that are not orthogonal
            j = start + other
            terms = _terms(frames, (alike[i], alike[j]), (volumes[i], volumes[j]), places[[i, j]])
            if terms is not None:
                yield _Pair(int(alike[i]), int(alike[j]), terms)
                taken += 1
            if taken == NEIGHBOURS:
                break


def _fractional(frames: Frames, index: int) -> np.ndarray:
    places: np.ndarray = np.linalg.solve(
        frames.cells[index].T, frames.positions[frames.atoms_of(index)].T
    ).T
    return places


def _terms(
    frames: Frames, pair: tuple[int, int], volumes: tuple[float, float], places: np.ndarray
) -> tuple[float, float, float] | None:
    """See `_Pair`; None where the two are no strained copies."""
    assert frames.energy is not None
    assert frames.stress is not None
    assert frames.forces is not None
    i, j = pair
    gradient = np.linalg.solve(frames.cells[i], frames.cells[j])  # row vectors: r' = r F
    strain = gradient - np.eye(3)
    moved = places[1] - places[0]
    moved -= np.rint(moved)
    distance = np.sqrt(((moved @ frames.cells[i]) ** 2).sum(axis=1).mean())
    if np.abs(strain).max() > CHANGES[1] or distance > CLOSE:
        return None
    change = np.log(volumes[1] / volumes[0])
    total, isotropic = [], []  # energy per way, at both ends: in all, and by the volume alone
    for k, volume, rate in zip(
        pair, volumes, (strain, np.linalg.solve(gradient, strain)), strict=True
    ):
        stress = voigt_6_to_full_3x3_stress(frames.stress[k])
        forces = frames.forces[frames.atoms_of(k)]
        total.append(volume * np.sum(stress * rate) - np.sum(forces * (moved @ frames.cells[k])))
        isotropic.append(volume * np.trace(stress) / 3 * change)
    of_volume = (isotropic[1] - isotropic[0]) * change
    of_others = (total[1] - total[0]) * change - of_volume
    lacking = frames.energy[j] - frames.energy[i] - (total[0] + total[1]) / 2
    lacking -= STIFFENING[0] / 12 * of_volume + GRUENEISEN[0] / 2 * of_others
    doubt = STIFFENING[1] / 12 * abs(of_volume) + GRUENEISEN[1] / 2 * abs(of_others)
    return float(len(moved) * change), float(lacking), float(doubt)
