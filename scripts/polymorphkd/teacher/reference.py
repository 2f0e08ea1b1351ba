"""Elemental reference energies, so that a model learns binding and not bookkeeping."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.data import atomic_numbers

from ..errors import StageError
from ..frames import Frames
from ..progress import logger


def composition_matrix(frames: Frames, elements: Sequence[str]) -> np.ndarray:
    """Number of atoms of each element in each frame, shape (n_frames, n_elements), float64."""
    frame_of_atom = np.repeat(np.arange(len(frames)), frames.n_atoms)
    matrix = np.zeros((len(frames), len(elements)))
    for column, symbol in enumerate(elements):
        chosen = frames.numbers == atomic_numbers[symbol]
        matrix[:, column] = np.bincount(frame_of_atom[chosen], minlength=len(frames))
    return matrix


def reference_energies(frames: Frames, elements: Sequence[str]) -> dict[str, float]:
    """Energy per element that explains the total energies best.

    Solves ``E_elem = argmin |A E_elem - E_total|`` with the composition matrix A (Huang et
    al. 2025, s41524-025-01796-y).  Where the compositions are linearly dependent (a single
    compound, say) the solution of minimum norm is taken and the log says so: the sum over
    the atoms is then still right, the split between elements is not unique.

    Parameters
    ----------
    frames : Frames
        Training frames with energies.
    elements : sequence of str
        Chemical symbols; each must occur in `frames`.

    Returns
    -------
    dict
        Energy in eV per atom for each of `elements`.

    Raises
    ------
    StageError
        An element occurs in no frame, so that nothing is known about it.
    """
    assert frames.energy is not None
    matrix = composition_matrix(frames, elements)
    absent = [symbol for symbol, n in zip(elements, matrix.sum(axis=0), strict=True) if n == 0]
    if absent:
        raise StageError(
            f"teacher: no training frame holds {', '.join(absent)}; the model could not know "
            "this element: remove it from elements or label frames with it"
        )
    energies, _, rank, _ = np.linalg.lstsq(matrix, frames.energy, rcond=None)
    if rank < len(elements):
        logger.warning(
            "the %d training compositions are linearly dependent (rank %d of %d elements): "
            "reference energies of minimum norm are used",
            len(frames),
            rank,
            len(elements),
        )
    return {symbol: float(value) for symbol, value in zip(elements, energies, strict=True)}
