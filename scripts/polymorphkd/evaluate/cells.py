"""Cells of the landscape in which errors are averaged: the cells that the split walks.

The same cells for predictions on test frames and for the teacher's labels.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..landscape.grid import bounding_box, cells, coordinates


def with_cells(table: pd.DataFrame, everything: pd.DataFrame, n: int) -> pd.DataFrame:
    """Copy of `table` with the cell of each row's sS and Q6.

    Parameters
    ----------
    table : DataFrame
        With columns sS and Q6 and those of landscape points.
    everything : DataFrame
        Landscape points that span the box: those of all labelled frames.
    n : int
        Cells per axis.

    Returns
    -------
    DataFrame
        With cell_sS and cell_Q6, and in ``attrs["edges"]``, which Parquet keeps, the
        ``n + 1`` edges of the cells per axis.

    Raises
    ------
    StageError
        Points made with different settings meet, or a frame has no sS.
    """
    box = bounding_box(coordinates(everything))
    index = cells(table[["sS", "Q6"]].to_numpy(), box, n)
    result = table.assign(cell_sS=index[:, 0], cell_Q6=index[:, 1])
    result.attrs["edges"] = {
        "sS": np.linspace(*box.sS, n + 1).tolist(),
        "Q6": np.linspace(*box.Q6, n + 1).tolist(),
    }
    return result


def placed(
    records: pd.DataFrame, points: pd.DataFrame, everything: pd.DataFrame, n: int
) -> pd.DataFrame:
    """Copy of records of frames with their place on the landscape.

    Parameters
    ----------
    records : DataFrame
        With frame_id.
    points : DataFrame
        Landscape points of these frames, in any order.
    everything, n
        See :func:`with_cells`.

    Returns
    -------
    DataFrame
        With sS (kB per atom), Q6 and, as integers, cell_sS and cell_Q6; frames beyond the box
        are in the cells of its rim.  All four are missing for a frame without sS.

    Raises
    ------
    StageError
        Points made with different settings meet.
    """
    known = points.dropna(subset=["sS"]).drop_duplicates("frame_id")
    columns = ["frame_id", "sS", "Q6", "cell_sS", "cell_Q6"]
    where = with_cells(known, everything, n)[columns]
    found = records.merge(where, on="frame_id", how="left")
    return found.astype({"cell_sS": "Int64", "cell_Q6": "Int64"})
