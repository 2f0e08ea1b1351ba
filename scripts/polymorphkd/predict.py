"""What every source of labels offers, be it DFT, teacher or student."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from .errors import EngineError
from .frames import Frames


class Predictor(Protocol):
    """A model that gives energies, forces and stresses."""

    def predict(self, frames: Frames) -> Frames:
        """Return the same frames, same order, same metadata, with predicted labels.

        ``energy`` (eV, total, consistent with the forces), ``forces`` (eV/Å) and ``stress``
        (eV/Å^3, ASE sign and order) are all filled; existing labels are replaced.
        """
        ...


@runtime_checkable
class HasSingle(Protocol):
    """A model that has a faster twin in single precision."""

    def single(self) -> Predictor:
        """The twin; the model itself stays as it is."""
        ...


def single_precision(model: Predictor) -> Predictor:
    """The faster twin of a model if it has one, else the model.

    Good enough to move atoms by, not to label frames with.
    """
    return model.single() if isinstance(model, HasSingle) else model


def labels_of(frames: Frames) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energies, forces and stresses of labelled frames; a stress that a frame lacks is NaN."""
    if frames.energy is None or frames.forces is None:
        raise ValueError("the frames have no labels")
    stress = np.full((len(frames), 6), np.nan) if frames.stress is None else frames.stress
    return frames.energy, frames.forces, stress


def require(model: str, known: Sequence[str], elements: Sequence[str]) -> None:
    """Check that a model knows all `elements`.

    Parameters
    ----------
    model : str
        What the message calls it, such as the file's path.
    known, elements : sequence of str
        Chemical symbols.

    Raises
    ------
    EngineError
        One is unknown.
    """
    unknown = [symbol for symbol in elements if symbol not in known]
    if unknown:
        raise EngineError(
            f"{model}: does not know {', '.join(unknown)}; it was trained for {', '.join(known)}"
        )
