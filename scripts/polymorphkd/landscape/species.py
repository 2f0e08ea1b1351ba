"""Several elements: a subset of the atoms, and the pair-resolved sum of entropies."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ..frames import Frames
from .images import OUTER, inverse
from .kernels import Recipe, radial_moments
from .radial import entropy_integral, pair_density


def subset(frames: Frames, numbers: list[int]) -> Frames:
    """Frames of the atoms with these atomic numbers alone, structure only."""
    kept = np.isin(frames.numbers, numbers)
    before = np.concatenate([[0], np.cumsum(kept)])
    return Frames(
        before[frames.offsets],
        frames.numbers[kept],
        frames.positions[kept],
        frames.cells,
        frames.pbc,
    )


def pair_resolved_entropies(
    offsets: np.ndarray, positions: np.ndarray, numbers: np.ndarray, cells: np.ndarray,
    pbc: np.ndarray, recipe: Recipe, out: np.ndarray,
) -> None:  # fmt: skip
    """sum over species pairs of x_a x_b S_ab for every frame into `out`, kB per atom.

    S_ab = -2 pi rho kB int [g_ab ln g_ab - g_ab + 1] r^2 dr with rho = N/V and g_ab the
    partial pair correlation of species a around b; a != b counts twice.  Without a volume
    (not periodic in all directions, no density) the result is NaN.
    """
    for f in range(len(offsets) - 1):
        a, b = offsets[f], offsets[f + 1]
        if a == b:
            continue
        volume = abs(np.linalg.det(cells[f]))
        if not pbc[f].all():
            volume = (b - a) / recipe.density if recipe.density else math.nan
        out[f] = math.nan
        if volume == volume:
            kinds = np.unique(numbers[a:b], return_inverse=True)[1]
            out[f] = _one(positions[a:b], kinds, cells[f], pbc[f], recipe, recipe.n_bins, volume)


@njit(**OUTER)
def _one(
    positions: np.ndarray, kinds: np.ndarray, cell: np.ndarray, pbc: np.ndarray, recipe: Recipe,
    n_bins: int, volume: float,
) -> float:  # fmt: skip
    inv = np.empty((3, 3))
    inverse(cell, inv)
    real, integer = np.empty(1), np.empty(1, dtype=np.int64)
    n_kinds = kinds.max() + 1
    own = np.zeros((n_kinds, n_bins, 4))
    pairs = np.empty(recipe.n_grid)
    total = 0.0
    for a in range(n_kinds):
        of_a = kinds == a
        n_a = np.sum(of_a)
        _, real, integer = radial_moments(
            positions[of_a], cell, inv, pbc, recipe, own[a], False, real, integer
        )
        pair_density(own[a], recipe.taps, recipe.n_grid, pairs)
        total += n_a * entropy_integral(pairs, recipe.step, n_a, n_a, volume)
        for b in range(a):
            of_b = kinds == b
            # Pairs of a with b: those of both together less those within each.
            both = np.zeros((n_bins, 4))
            _, real, integer = radial_moments(
                positions[of_a | of_b], cell, inv, pbc, recipe, both, False, real, integer
            )
            pair_density(both - own[a] - own[b], recipe.taps, recipe.n_grid, pairs)
            pairs *= 0.5  # ordered pairs that start at a
            # n_b / V in front of the integral, where S_ab has N / V, makes x_a x_b to n_a / N.
            n_b = np.sum(of_b)
            total += 2 * n_a * entropy_integral(pairs, recipe.step, n_a, n_b, volume)
    return total / positions.shape[0]
