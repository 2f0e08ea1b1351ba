"""Map frames to landscape points, with the settings that give each point its identity."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.signal import argrelmax, argrelmin

from ..errors import StageError
from ..frames import Frames
from ..provenance import digest, read_json
from ..settings import Landscape
from .kernels import N_Y6, map_frames, pair_pass, wrap

POINTS_PER_SIGMA = 4
"""Spacing of the r grid is sigma / 4, which keeps sS within 1e-3 kB of the integral."""

POINT_COLUMNS = (
    "frame_id",
    "sS",
    "Q6",
    "n_atoms",
    "volume_per_atom",
    "n_isolated",
    "min_distance",
    "note",
    "settings_digest",
)


def settings_digest(settings: Landscape, cutoff: float) -> str:
    """Digest of all that defines a point: two points compare only if theirs are equal."""
    return digest(
        {
            "definition": "equations",
            "sigma": settings.sigma,
            "rmax": settings.rmax,
            "points_per_sigma": POINTS_PER_SIGMA,
            "q6": settings.q6,
            "cutoff": round(cutoff, 6),
        }
    )


def _grid(settings: Landscape) -> tuple[float, int]:
    """Spacing and number of nodes of the r grid, which ends exactly at rmax."""
    n_grid = round(settings.rmax * POINTS_PER_SIGMA / settings.sigma) + 1
    return settings.rmax / (n_grid - 1), n_grid


def points(frames: Frames, settings: Landscape, cutoff: float | None = None) -> pd.DataFrame:
    """Landscape point of every frame (METHOD: Steinhardt 1983; Piaggi & Parrinello 2017).

    Parameters
    ----------
    frames : Frames
    settings : Landscape
        sigma and rmax in Å; which Q6.
    cutoff : float, optional
        Neighbour cutoff of Q6 in Å; needed where ``settings.cutoff`` is ``auto``, so that
        all sets of one run are mapped with the same number.

    Returns
    -------
    DataFrame, one row per frame in order
        frame_id; sS (kB per atom, missing with a ``note`` unless periodic in all
        directions); Q6 (never NaN); n_atoms; volume_per_atom (Å^3); n_isolated (atoms
        without neighbour); min_distance (Å, missing beyond reach); note; settings_digest.
    """
    if cutoff is None:
        if settings.cutoff == "auto":
            cutoff = auto_cutoff(frames, settings)
        else:
            cutoff = float(settings.cutoff)
    step, n_grid = _grid(settings)
    out = np.empty((len(frames), 4))
    map_frames(
        frames.offsets,
        frames.positions,
        frames.cells,
        frames.pbc,
        cutoff,
        settings.sigma,
        step,
        n_grid,
        settings.q6 == "mean",
        out,
    )
    bulk = frames.pbc.all(axis=1)
    n_atoms = frames.n_atoms
    return pd.DataFrame(
        {
            "frame_id": frames.frame_ids(),
            "sS": out[:, 0],
            "Q6": out[:, 1],
            "n_atoms": n_atoms,
            "volume_per_atom": np.where(bulk, frames.volumes / n_atoms, np.nan),
            "n_isolated": out[:, 2].astype(np.int64),
            "min_distance": np.where(np.isfinite(out[:, 3]), out[:, 3], np.nan),
            "note": np.where(bulk, "", "no volume: not periodic in all directions"),
            "settings_digest": settings_digest(settings, cutoff),
        }
    )


def auto_cutoff(frames: Frames, settings: Landscape) -> float:
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
    sigma, step, n_grid = 0.06, 0.015, 150  # in units of the mean spacing; reach 2.2 of it
    pooled = np.zeros(n_grid)
    for i in bulk.tolist():
        where = frames.atoms_of(i)
        n = where.stop - where.start
        cell = frames.cells[i] / lengths[i]
        positions = wrap(frames.positions[where] / lengths[i], cell, frames.pbc[i])
        weights = np.zeros(n_grid)
        pair_pass(positions, cell, frames.pbc[i], 0.0, sigma, step, weights,
                  np.zeros((n, N_Y6)), np.zeros(n, dtype=np.int64))  # fmt: skip
        pooled += weights / n
    r = np.arange(n_grid) * step
    g = pooled[1:] / (4 * math.pi * r[1:] ** 2 * len(bulk))
    peaks = [k for k in argrelmax(g)[0] if g[k] > 1]
    minima = argrelmin(g)[0]
    after = [k for k in minima if peaks and k > peaks[0]]
    if not after:
        raise StageError(
            "landscape.cutoff: auto found no minimum after the first peak of g(r); "
            "give the cutoff in Å"
        )
    return round(float(r[1:][after[0]] * np.median(lengths[bulk])), 3)


def resolve(frames: Frames, settings: Landscape) -> dict[str, Any]:
    """Settings of one run with the cutoff as a number, and their digest, as plain data."""
    cutoff = auto_cutoff(frames, settings) if settings.cutoff == "auto" else settings.cutoff
    values = settings.model_dump(mode="json") | {"cutoff": cutoff}
    return {**values, "digest": settings_digest(settings, float(cutoff))}


def read_settings(path: str | Path) -> Landscape:
    """Settings that :func:`resolve` made, from their JSON file."""
    values = read_json(path)
    values.pop("digest")
    return Landscape.model_validate(values)
