"""Weighted linear least squares of energies, forces and virials in one pass over the frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..frames import Frames
from ..predict import labels_of
from ..progress import Counter
from ..settings import Pod
from .pod_basis import PodBasis, Rows

BLOCK = 4000
"""Rows that are gathered before they are folded into the triangle."""


@dataclass(frozen=True)
class Part:
    """Frames of one kind and what they count.

    Parameters
    ----------
    frames : Frames
        With labels; frames without a stress teach energies and forces.
    share : float
        Weight of all of them together.
    taught : sequence of str
        Of ``energy``, ``forces``, ``virial``: labels that are learned.
    """

    frames: Frames
    share: float
    taught: Sequence[str]


def weighted(
    rows: Rows, energy: float, forces: np.ndarray, virial: np.ndarray, settings: Pod,
    taught: Sequence[str],
) -> np.ndarray:  # fmt: skip
    """Equations of one frame, the right-hand side last.

    Their squared residuals sum to (w_e dE/n)^2 + mean (w_f dF)^2 + mean (w_v dV/n)^2 with the
    weights of the settings, so a frame counts alike whatever its size.

    Parameters
    ----------
    rows : Rows
    energy : float, eV
    forces : ndarray, shape (n_atoms, 3), eV/Å
    virial : ndarray, shape (6,), eV
        Volume times stress; NaN where the frame has none.
    settings : Pod
    taught : sequence of str

    Returns
    -------
    ndarray, shape (n_equations, m + 1)
    """
    n_atoms, m = len(forces), len(rows.energy)
    parts = []
    if "energy" in taught:
        parts.append((settings.energy_weight / n_atoms, rows.energy[None], np.array([energy])))
    if "forces" in taught:
        weight = settings.force_weight / np.sqrt(forces.size)
        parts.append((weight, rows.forces.reshape(-1, m), forces.ravel()))
    if "virial" in taught and np.isfinite(virial).all():
        weight = settings.virial_weight / (n_atoms * np.sqrt(len(virial)))
        parts.append((weight, rows.virials, virial))
    if not parts:
        return np.empty((0, m + 1))
    return np.concatenate([w * np.column_stack([left, right]) for w, left, right in parts])


class Triangle:
    """The R of a QR decomposition of equations that come block by block."""

    def __init__(self) -> None:
        self._r: np.ndarray | None = None
        self._waiting: list[np.ndarray] = []

    def add(self, equations: np.ndarray) -> None:
        """Take in equations, shape (n, m + 1)."""
        self._waiting.append(equations)
        if sum(len(one) for one in self._waiting) > BLOCK:
            self._fold()

    def _fold(self) -> None:
        parts = [*([] if self._r is None else [self._r]), *self._waiting]
        self._r = np.asarray(np.linalg.qr(np.concatenate(parts), mode="r"))
        self._waiting = []

    def solve(self, regularization: float) -> np.ndarray:
        """Coefficients, shape (m,), of the least squares with a ridge.

        The ridge is the same for every coefficient once the columns are scaled to unit norm;
        that of a column of zeros (an element that no frame holds) is zero.
        """
        self._fold()
        assert self._r is not None
        left, right = self._r[:, :-1], self._r[:, -1]
        norms = np.linalg.norm(left, axis=0)
        scale = np.where(norms > 0, norms, 1.0)
        m = left.shape[1]
        ridge = np.sqrt(regularization) * np.eye(m)
        equations = np.concatenate([left / scale, ridge])
        values = np.concatenate([right, np.zeros(m)])
        solution: np.ndarray = np.linalg.lstsq(equations, values, rcond=None)[0]
        return solution / scale


def fit(
    basis: PodBasis,
    parts: Sequence[Part],
    references: np.ndarray,
    settings: Pod,
    counter: Counter,
) -> np.ndarray:
    """Coefficients (eV) of the potential that fits the labels best, shape (m,).

    Parameters
    ----------
    basis : PodBasis
    parts : sequence of Part
    references : ndarray, shape (n_elements,), eV
        Energies of isolated atoms: taken off the energies before the fit, so that the ridge
        does not act on them, and added to the one-body coefficients.
    settings : Pod
    counter : Counter
        Told of every frame.
    """
    triangle = Triangle()
    for part in parts:
        energies, forces, stresses = labels_of(part.frames)
        virials = stresses * part.frames.volumes[:, None]
        weight = np.sqrt(part.share / len(part.frames))
        for index in range(len(part.frames)):
            rows = basis.rows(part.frames, index)
            atoms = part.frames.atoms_of(index)
            own = (
                energies[index] - rows.energy[:: len(rows.energy) // len(references)] @ references
            )
            triangle.add(
                weight * weighted(rows, own, forces[atoms], virials[index], settings, part.taught)
            )
            counter.step()
    coefficients = triangle.solve(settings.regularization)
    coefficients[:: len(coefficients) // len(references)] += references
    return coefficients
