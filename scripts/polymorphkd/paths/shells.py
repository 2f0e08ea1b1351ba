"""What structures have in common whatever their axes and the order of their atoms."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ..frames import Frames

LONGEST = 4.5
"""Pair distances up to this count, Å."""

WIDTH = 0.15
"""Width of the Gaussian that each distance adds, and spacing of the grid, Å."""

SHORTEST = 0.5
"""Where the grid starts, Å."""


def pair_shells(frames: Frames) -> np.ndarray:
    """Smoothed number of pairs per atom over their distance, shape (n_frames, n_bins).

    A distance r adds a Gaussian of weight 1/r^2, so that near and far shells count alike.
    It only orders candidates: different structures may have the same one.

    Parameters
    ----------
    frames : Frames
        Periodic in all directions.
    """
    grid = np.arange(SHORTEST, LONGEST, WIDTH)
    result = np.zeros((len(frames), len(grid)))
    inverses = np.linalg.inv(frames.cells)
    _add_pairs(frames.offsets, frames.positions, frames.cells, inverses, result)
    return result


@njit(cache=True)
def _add_pairs(
    offsets: np.ndarray,
    positions: np.ndarray,
    cells: np.ndarray,
    inverses: np.ndarray,
    out: np.ndarray,
) -> None:
    reach = LONGEST + 3 * WIDTH
    for f in range(len(cells)):
        start, n = offsets[f], offsets[f + 1] - offsets[f]
        cell, inverse = cells[f], inverses[f]
        images = np.empty(3, dtype=np.int64)
        for c in range(3):
            # Planes of lattice points along c are 1 / |column| apart.
            column = math.sqrt((inverse[:, c] ** 2).sum())
            images[c] = math.ceil(reach * column) + 1
        for i in range(n):
            for j in range(i, n):
                apart = positions[start + j] - positions[start + i]
                apart = apart - np.round(apart @ inverse) @ cell
                _add_images(apart, cell, images, reach, (1.0 if i == j else 2.0) / n, out[f])


@njit(cache=True)
def _add_images(
    apart: np.ndarray,
    cell: np.ndarray,
    images: np.ndarray,
    reach: float,
    weight: float,
    out: np.ndarray,
) -> None:
    """Add the distances of a pair of atoms with all images of one of them."""
    for u in range(-images[0], images[0] + 1):
        for v in range(-images[1], images[1] + 1):
            x = apart[0] + u * cell[0, 0] + v * cell[1, 0]
            y = apart[1] + u * cell[0, 1] + v * cell[1, 1]
            z = apart[2] + u * cell[0, 2] + v * cell[1, 2]
            for w in range(-images[2], images[2] + 1):
                p, q, r = x + w * cell[2, 0], y + w * cell[2, 1], z + w * cell[2, 2]
                squared = p * p + q * q + r * r
                if 1e-12 < squared < reach * reach:
                    _add_bump(math.sqrt(squared), weight / squared, out)


@njit(cache=True)
def _add_bump(r: float, weight: float, out: np.ndarray) -> None:
    middle = round((r - SHORTEST) / WIDTH)
    for k in range(max(0, middle - 4), min(len(out), middle + 5)):
        x = (SHORTEST + k * WIDTH - r) / WIDTH
        out[k] += weight * math.exp(-0.5 * x * x)


@njit(cache=True)
def most_similar(shells: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
    """For each frame the frames of most similar shells among those near on the landscape.

    Parameters
    ----------
    shells : ndarray, shape (n, n_bins)
    places : ndarray, shape (n, 2)
        On the landscape, in units of the farthest that is near.
    count : int
        Most frames for each.

    Returns
    -------
    ndarray, shape (n, count), int64
        Indices, most similar first; -1 where there are no more.
    """
    n, n_bins = shells.shape
    found = np.full((n, count), -1)
    unlike = np.full((n, count), np.inf)
    for i in range(n):
        for j in range(n):
            x, y = places[i, 0] - places[j, 0], places[i, 1] - places[j, 1]
            if i == j or x * x + y * y > 1:
                continue
            worst = unlike[i, count - 1]
            total = 0.0
            for k in range(n_bins):
                total += (shells[i, k] - shells[j, k]) ** 2
                if total >= worst:
                    break
            if total < worst:
                k = count - 1
                while k > 0 and unlike[i, k - 1] > total:
                    unlike[i, k], found[i, k] = unlike[i, k - 1], found[i, k - 1]
                    k -= 1
                unlike[i, k], found[i, k] = total, j
    return found
