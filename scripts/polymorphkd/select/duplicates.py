"""Near-duplicates: frames that lie together in sS, Q6 and volume per atom."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from ..frames import Frames
from ..landscape import points
from ..settings import Landscape


def features(table: pd.DataFrame) -> np.ndarray:
    """sS (kB), Q6 and volume per atom (Å^3) of landscape points, shape (n, 3).

    Missing values (frames that are not fully periodic) count as zero.
    """
    return np.nan_to_num(table[["sS", "Q6", "volume_per_atom"]].to_numpy(dtype=float))


def scale_of(values: np.ndarray) -> np.ndarray:
    """Range of each feature, shape (3,); a feature without extent gets 1."""
    extent = np.ptp(values, axis=0)
    return np.where(extent > 1e-9, extent, 1.0)


def near_pairs(values: np.ndarray, scale: np.ndarray, distance: float) -> np.ndarray:
    """Pairs of rows closer than `distance` after division by `scale`, shape (n_pairs, 2)."""
    return cKDTree(values / scale).query_pairs(distance, output_type="ndarray")


def near(
    frames_a: Frames,
    frames_b: Frames,
    landscape: Landscape,
    distance: float,
    cutoff: float | None = None,
) -> np.ndarray:
    """Which frames of `frames_a` are near-duplicates of a frame of `frames_b`.

    Parameters
    ----------
    frames_a, frames_b : Frames
    landscape : Landscape
    distance : float
        In units of the ranges of sS, Q6 and volume per atom over both sets.
    cutoff : float, Å, optional
        Neighbour cutoff of Q6; needed where the settings say ``auto``.

    Returns
    -------
    ndarray, shape (len(frames_a),), bool
    """
    if not len(frames_a) or not len(frames_b):
        return np.zeros(len(frames_a), dtype=bool)
    a = features(points(frames_a, landscape, cutoff))
    b = features(points(frames_b, landscape, cutoff))
    scale = scale_of(np.concatenate([a, b]))
    nearest, _ = cKDTree(b / scale).query(a / scale)
    return nearest <= distance
