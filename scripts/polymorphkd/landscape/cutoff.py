"""Neighbour cutoff from the frames themselves."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ..errors import StageError
from ..frames import Frames
from .images import OUTER, inverse
from .kernels import Recipe, radial_moments
from .radial import gaussian_taps, pair_density

SIGMA, STEP, N_GRID = 0.06, 0.015, 150
"""Smoothing and grid of the pooled curve in units of the mean spacing; it ends at 2.2."""


def auto_cutoff(frames: Frames) -> float:
    """First minimum after the first peak of the pooled g(r), in Å.

    Distances are pooled in units of the cube root of the volume per atom, so that frames
    of different density add up to one curve; the result is for the median density.

    Raises
    ------
    StageError
        No frame is periodic in all directions, or the curve has no such minimum.
    """
    bulk = np.flatnonzero(frames.pbc.all(axis=1))
    if not len(bulk):
        raise StageError(
            "landscape.cutoff: auto needs frames that are periodic in all directions; "
            "give the cutoff in Å"
        )
    lengths = np.cbrt(frames.volumes / frames.n_atoms)
    taps = gaussian_taps(SIGMA, STEP)
    recipe = Recipe(0.0, False, 0.0, SIGMA, STEP, N_GRID, taps)
    pooled, pairs = np.zeros(N_GRID), np.empty(N_GRID)
    for i in bulk.tolist():
        where = frames.atoms_of(i)
        _density(
            frames.positions[where] / lengths[i], frames.cells[i] / lengths[i], frames.pbc[i],
            recipe, recipe.n_bins, pairs,
        )  # fmt: skip
        pooled += pairs / (where.stop - where.start)
    r = np.arange(N_GRID) * STEP
    g = pooled[1:] / (4 * math.pi * r[1:] ** 2 * len(bulk))
    rising = np.diff(g) > 0
    peaks = [k for k in np.flatnonzero(rising[:-1] & ~rising[1:]) + 1 if g[k] > 1]
    minima = np.flatnonzero(~rising[:-1] & rising[1:]) + 1
    after = [k for k in minima if peaks and k > peaks[0]]
    if not after:
        raise StageError(
            "landscape.cutoff: auto found no minimum after the first peak of g(r); "
            "give the cutoff in Å"
        )
    return round(float(r[1:][after[0]] * np.median(lengths[bulk])), 3)


@njit(**OUTER)
def _density(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, recipe: Recipe, n_bins: int,
    out: np.ndarray,
) -> None:  # fmt: skip
    inv = np.empty((3, 3))
    inverse(cell, inv)
    moments = np.zeros((n_bins, 4))
    radial_moments(
        positions, cell, inv, pbc, recipe, moments, False, np.empty(1), np.empty(1, dtype=np.int64)
    )
    pair_density(moments, recipe.taps, recipe.n_grid, out)
