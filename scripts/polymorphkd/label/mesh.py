"""K-point meshes of all engines, so that one spacing means one mesh."""

from __future__ import annotations

import numpy as np


def mesh(cell: np.ndarray, pbc: np.ndarray, kspacing: float) -> tuple[int, int, int]:
    """Gamma-centred k-point mesh with spacing at most `kspacing` (1/Å, 2 pi included).

    Parameters
    ----------
    cell : ndarray, shape (3, 3), Å
    pbc : ndarray, shape (3,), bool
        Open directions get one point.
    """
    reciprocal = 2 * np.pi * np.linalg.norm(np.linalg.inv(cell), axis=0)
    counts = np.maximum(1, np.ceil(reciprocal / kspacing - 1e-9))
    a, b, c = (int(n) if periodic else 1 for n, periodic in zip(counts, pbc, strict=True))
    return a, b, c
