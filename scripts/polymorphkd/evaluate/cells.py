"""Cells of the landscape in which errors are averaged."""

from __future__ import annotations

import numpy as np
import pandas as pd


def landscape_edges(points: pd.DataFrame, cells: int) -> dict[str, list[float]]:
    """Edges of `cells` equal intervals per axis over the range of `points`.

    Parameters
    ----------
    points : DataFrame
        With columns sS (kB per atom) and Q6; missing values are left out.
    cells : int
        Intervals per axis.

    Returns
    -------
    dict
        ``{"sS": [...], "Q6": [...]}`` with ``cells + 1`` edges each.
    """
    edges = {}
    for axis in ("sS", "Q6"):
        values = points[axis].dropna()
        low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
        edges[axis] = np.linspace(low, high, cells + 1).tolist()
    return edges


def with_cells(table: pd.DataFrame, edges: dict[str, list[float]]) -> pd.DataFrame:
    """Copy of `table` with cell_sS and cell_Q6, the interval of each row's sS and Q6.

    Points outside the edges belong to the outermost interval; a missing sS or Q6 gives a
    missing cell.  The edges travel in ``attrs["edges"]``, which Parquet keeps.
    """
    result = table.copy()
    for axis, values in edges.items():
        inner = np.asarray(values)[1:-1]
        cell = pd.Series(np.searchsorted(inner, table[axis], side="right"), index=table.index)
        result[f"cell_{axis}"] = cell.astype("Int64").where(table[axis].notna())
    result.attrs["edges"] = edges
    return result
