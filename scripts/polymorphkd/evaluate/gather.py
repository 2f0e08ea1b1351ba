"""Gather the errors of all models into the numbers that are reported.

Conventions
-----------
energy
    One error per frame, meV/atom, every frame counts the same.
force
    One error per Cartesian component of every atom of all frames, meV/Å, so large frames
    count more.
virial
    The nine components of the symmetric tensor -V sigma / N of every frame, meV/atom, so
    each off-diagonal component counts twice (as ``dp test`` counts them).  Frames without
    a reference stress have none; where no test frame has one, the numbers are None.

Errors are prediction minus reference.  ``rmse**2 == mean**2 + std**2`` holds for each
distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ..errors import StageError
from .compare import AXES, VOIGT

UNITS = {
    "energy": "energy_meV_per_atom",
    "force": "force_meV_per_A",
    "virial": "virial_meV_per_atom",
}
"""Key of each quantity in errors.json and summary.json."""

RESAMPLES = 2000
"""Bootstrap samples behind the interval of a ratio of two RMSEs."""


def signed_errors(frames: pd.DataFrame, forces: pd.DataFrame) -> dict[str, np.ndarray]:
    """Flat errors of energy (meV/atom), force (meV/Å) and virial (meV/atom) components."""

    def difference(table: pd.DataFrame, names: list[str]) -> np.ndarray:
        predicted = table[[f"{name}_pred" for name in names]].to_numpy()
        return 1000 * (predicted - table[[f"{name}_ref" for name in names]].to_numpy())

    virial = difference(frames, [f"virial_{name}" for name in VOIGT])
    virial = virial[np.isfinite(virial).all(axis=1)]
    return {
        "energy": frames["energy_error"].to_numpy(),
        "force": difference(forces, list(AXES)).ravel(),
        "virial": np.concatenate([virial, virial[:, 3:]], axis=1).ravel(),
    }


def distribution(errors: np.ndarray) -> dict[str, float | int] | None:
    """Minimum, quartiles (linear interpolation), maximum, mean, std (n, not n - 1) and n.

    None of no errors.
    """
    if not len(errors):
        return None
    quantiles = np.percentile(errors, [0, 25, 50, 75, 100])
    names = ("min", "q1", "median", "q3", "max")
    result: dict[str, float | int] = dict(zip(names, quantiles.tolist(), strict=True))
    return result | {
        "mean": float(errors.mean()),
        "std": float(errors.std()),
        "n": len(errors),
    }


def per_cell(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Force RMSE of each model in each occupied cell of the landscape.

    Returns
    -------
    dict
        ``edges`` of the cells per axis and ``cells``, each with its indices ``sS`` and
        ``Q6``, its number of ``frames`` and ``force_meV_per_A`` per model.
    """
    first = next(iter(tables.values()))
    squares = {model: table["force_rmse"] ** 2 for model, table in tables.items()}
    cells = []
    for _, rows in first.groupby(["cell_sS", "cell_Q6"]):
        weights = rows["n_atoms"].to_numpy()
        cells.append(
            {
                "sS": int(rows["cell_sS"].iloc[0]),
                "Q6": int(rows["cell_Q6"].iloc[0]),
                "frames": len(rows),
                "force_meV_per_A": {
                    model: float(np.sqrt(np.average(values[rows.index], weights=weights)))
                    for model, values in squares.items()
                },
            }
        )
    return {"edges": first.attrs["edges"], "cells": cells}


def gain(
    old: pd.DataFrame, new: pd.DataFrame, rng: np.random.Generator
) -> dict[str, float | list[float]]:
    """Relative change of the force RMSE from one model to another, with its uncertainty.

    The interval is a paired bootstrap over the families of test frames (frames with the
    same ``root``; every frame its own where there is no lineage): families are drawn with
    replacement and both models judged on the same draw.

    Parameters
    ----------
    old, new : DataFrame
        Tables per frame of the two models, same frames in the same order.
    rng : numpy.random.Generator

    Returns
    -------
    dict
        ``change``: RMSE(new) / RMSE(old) - 1, negative where `new` is better;
        ``interval_95``: its 2.5 and 97.5 percentiles; ``groups``: families drawn from.
    """
    families = old["root"].fillna(old["frame_id"]) if "root" in old else old["frame_id"]
    squares = pd.DataFrame(
        {
            "old": old["force_rmse"] ** 2 * old["n_atoms"],
            "new": new["force_rmse"] ** 2 * new["n_atoms"],
        }
    ).groupby(families.to_numpy())
    sums = squares.sum().to_numpy()
    picks = rng.integers(len(sums), size=(RESAMPLES, len(sums)))
    drawn = sums[picks].sum(axis=1)
    total = sums.sum(axis=0)
    low, high = np.percentile(np.sqrt(drawn[:, 1] / drawn[:, 0]) - 1, [2.5, 97.5])
    return {
        "change": float(np.sqrt(total[1] / total[0]) - 1),
        "interval_95": [float(low), float(high)],
        "groups": len(sums),
    }


def gather(
    tables: dict[str, tuple[pd.DataFrame, pd.DataFrame]], rng: np.random.Generator
) -> dict[str, Any]:
    """All error numbers of all models.

    Parameters
    ----------
    tables : dict
        Per model its tables per frame and per atom, on the same test frames.
    rng : numpy.random.Generator
        For the bootstrap interval of the gain of dnn-kd over dnn.

    Returns
    -------
    dict
        ``rmse`` and ``mae`` per model, ``distribution`` per model and quantity, ``cells``,
        ``gain`` (where dnn and dnn-kd are among the models), ``test``.

    Raises
    ------
    StageError
        The models were judged on different test frames.
    """
    frames = {model: pair[0] for model, pair in tables.items()}
    first = next(iter(frames.values()))
    for model, table in frames.items():
        if table["frame_id"].tolist() != first["frame_id"].tolist():
            raise StageError(f"evaluate/{model}: other test frames than the other models")
    errors = {model: signed_errors(*pair) for model, pair in tables.items()}
    measures: dict[str, Callable[[np.ndarray], Any]] = {
        "rmse": lambda e: float(np.sqrt(np.mean(e**2))) if len(e) else None,
        "mae": lambda e: float(np.mean(np.abs(e))) if len(e) else None,
        "distribution": distribution,
    }
    result: dict[str, Any] = {
        name: {
            model: {UNITS[q]: measure(e) for q, e in values.items()}
            for model, values in errors.items()
        }
        for name, measure in measures.items()
    }
    result["cells"] = per_cell(frames)
    result["test"] = {
        "frames": len(first),
        "frames_with_stress": int(first["virial_error"].notna().sum()),
        "force_components": 3 * int(first["n_atoms"].sum()),
    }
    if {"dnn", "dnn-kd"} <= set(frames):
        result["gain"] = gain(frames["dnn"], frames["dnn-kd"], rng)
    return result
