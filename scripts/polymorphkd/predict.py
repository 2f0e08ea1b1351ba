"""What every source of labels offers, be it DFT, teacher or student."""

from __future__ import annotations

from typing import Protocol

from .frames import Frames


class Predictor(Protocol):
    """A model that gives energies, forces and stresses."""

    def predict(self, frames: Frames) -> Frames:
        """Return the same frames, same order, same metadata, with predicted labels.

        ``energy`` (eV, total, consistent with the forces), ``forces`` (eV/Å) and ``stress``
        (eV/Å^3, ASE sign and order) are all filled; existing labels are replaced.
        """
        ...
