"""Canonical integers of configurations, from which :func:`frames.frame_ids` hashes."""

from __future__ import annotations

import numpy as np
from numba import njit

OFFSET = 0.1234567
"""Added before rounding: coordinates with few decimals in a cell with few decimals often lie
half way between two integers, where the last bit of a product would decide."""


def canonical(
    offsets: np.ndarray,
    numbers: np.ndarray,
    positions: np.ndarray,
    bases: np.ndarray,
    periodic: np.ndarray,
    resolution: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Species and rounded, wrapped coordinates of each frame, atoms in a canonical order.

    Parameters
    ----------
    offsets : ndarray, shape (n_frames + 1,), int64
    numbers : ndarray, shape (n_atoms_total,), int64
    positions : ndarray, shape (n_atoms_total, 3), float64, Å
    bases : ndarray, shape (n_frames, 3, 3), float64, Å
        Regular matrices in whose units positions are rounded.
    periodic : ndarray, shape (n_frames, 3), bool
        Directions along which coordinates are wrapped into [0, 1).
    resolution : float
        Rounding step; 1 / resolution is an integer.

    Returns
    -------
    numbers : ndarray, shape (n_atoms_total,), int64
    steps : ndarray, shape (n_atoms_total, 3), int64
        Coordinates in units of `resolution`; within a frame sorted by species, then by the
        three coordinates.
    """
    sorted_numbers = np.empty_like(numbers)
    steps = np.empty(positions.shape, dtype=np.int64)
    inverses = np.linalg.inv(bases)
    _canonical(
        offsets, numbers, positions, inverses, periodic, 1 / resolution, sorted_numbers, steps
    )
    return sorted_numbers, steps


@njit(cache=True, nogil=True)
def _canonical(offsets, numbers, positions, inverses, periodic, scale, out_numbers, out):  # type: ignore[no-untyped-def]
    n_steps = np.int64(round(scale))
    largest = 0
    for f in range(len(offsets) - 1):
        largest = max(largest, offsets[f + 1] - offsets[f])
    steps = np.empty((largest, 4), dtype=np.int64)
    order, spare = np.empty(largest, dtype=np.int64), np.empty(largest, dtype=np.int64)
    for f in range(len(offsets) - 1):
        start, n = offsets[f], offsets[f + 1] - offsets[f]
        inverse = inverses[f]
        for i in range(n):
            x, y, z = positions[start + i]
            steps[i, 0] = numbers[start + i]
            for c in range(3):
                value = x * inverse[0, c] + y * inverse[1, c] + z * inverse[2, c]
                step = np.int64(np.rint(value * scale + OFFSET))
                steps[i, c + 1] = step % n_steps if periodic[f, c] else step
            order[i] = i
        ranked = _merge_sort(steps, order[:n], spare[:n])
        for i in range(n):
            out_numbers[start + i] = steps[ranked[i], 0]
            out[start + i] = steps[ranked[i], 1:]


@njit(cache=True, nogil=True)
def _before(rows, i, j):  # type: ignore[no-untyped-def]
    for c in range(4):
        if rows[i, c] != rows[j, c]:
            return rows[i, c] < rows[j, c]
    return False


@njit(cache=True, nogil=True)
def _merge_sort(rows, order, spare):  # type: ignore[no-untyped-def]
    """Indices of `rows` in lexicographic order, in one of the two buffers."""
    n, width = len(order), 1
    while width < n:
        for low in range(0, n, 2 * width):
            middle, high = min(low + width, n), min(low + 2 * width, n)
            i, j = low, middle
            for k in range(low, high):
                if j >= high or (i < middle and not _before(rows, order[j], order[i])):
                    spare[k] = order[i]
                    i += 1
                else:
                    spare[k] = order[j]
                    j += 1
        order, spare = spare, order
        width *= 2
    return order
