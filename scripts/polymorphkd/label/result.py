"""What an engine returns for one frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Result:
    """Outcome of one calculation.

    Parameters
    ----------
    status : str
        ``ok``, ``unconverged`` (the SCF cycle did not converge) or ``crashed``.
    reason : str
        Empty for ``ok``, else one line from the engine.
    seconds : float
        Wall time of the calculation, s.
    energy : float, optional
        Total energy, eV, consistent with the forces (the free energy where electrons are
        smeared).
    forces : ndarray, shape (n_atoms, 3), optional, eV/Å
    stress : ndarray, shape (6,), optional, eV/Å^3
        ASE sign and Voigt order.
    scf_steps : int, optional
    """

    status: str
    reason: str
    seconds: float
    energy: float | None = None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None
    scf_steps: int | None = None
