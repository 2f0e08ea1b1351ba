"""Several teachers as one: mean labels and how far the members disagree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..frames import Frames
from ..predict import Predictor, labels_of, single_precision

SPREAD = "force_spread"
"""Metadata column with the largest committee standard deviation of a force component."""


class Committee:
    """Predictor whose labels are the mean of its members.

    The mean of conservative fields is conservative, so energies, forces and stresses stay
    consistent.  The spread of a frame is ``max over atoms and components of
    std(members, ddof=1)`` of the forces, in eV/Å.

    Parameters
    ----------
    members : sequence of Predictor, at least two
    """

    def __init__(self, members: Sequence[Predictor]) -> None:
        if len(members) < 2:
            raise ValueError("a committee needs at least two members")
        self.members = list(members)

    def single(self) -> Committee:
        """The same committee with members in single precision, where they have it."""
        return Committee([single_precision(member) for member in self.members])

    def predict(self, frames: Frames) -> Frames:
        """Mean labels of the members; metadata gain the column ``force_spread``."""
        parts = [member.predict(frames) for member in self.members]
        energies, forces, stresses = (
            np.stack(values) for values in zip(*map(labels_of, parts), strict=True)
        )
        deviation = forces.std(axis=0, ddof=1)  # (atoms, 3)
        spread = [deviation[frames.atoms_of(i)].max(initial=0.0) for i in range(len(frames))]
        result = parts[0].with_meta(**{SPREAD: np.asarray(spread, dtype=np.float64)})
        result.energy = energies.mean(axis=0)
        result.forces = forces.mean(axis=0)
        result.stress = stresses.mean(axis=0)
        return result
