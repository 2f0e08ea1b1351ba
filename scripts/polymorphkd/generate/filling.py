"""How a library filled the landscape: a table ready for animation, and its figure."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from ..landscape.grid import Box, cells, inside
from ..plots.style import RC, SETS, landscape_labels
from ..provenance import atomic_path

EARLY_TO_LATE = "viridis"


def filling(lineage: pd.DataFrame, box: Box, n: int) -> pd.DataFrame:
    """Individuals in the order of their generations, with the cells they fall into.

    Parameters
    ----------
    lineage : DataFrame
        Rows of a library: frame_id, target, generation, sS, Q6.
    box : Box
    n : int
        Cells along each axis.

    Returns
    -------
    DataFrame
        frame_id, generation, target, sS, Q6; cell_sS and cell_Q6 (indices, -1 outside the
        box); ``new``, whether it is the first of its cell; ``occupied``, cells with an
        individual so far.  One picture per generation makes an animation.
    """
    table = lineage[["frame_id", "generation", "target", "sS", "Q6"]]
    order = np.lexsort((np.arange(len(table)), table["target"], table["generation"]))
    table = table.iloc[order].reset_index(drop=True)
    xy = table[["sS", "Q6"]].to_numpy(dtype=float)
    index = np.where(inside(xy, box)[:, None], cells(xy, box, n), -1)
    flat = np.where(index[:, 0] < 0, -1, index[:, 0] * n + index[:, 1])
    new = np.zeros(len(table), dtype=bool)
    new[np.unique(flat, return_index=True)[1]] = True
    new &= flat >= 0
    return table.assign(cell_sS=index[:, 0], cell_Q6=index[:, 1], new=new, occupied=np.cumsum(new))


def report(table: pd.DataFrame, box: Box, n: int) -> Figure:
    """Figure of a filling: when each cell was reached, and how many were, over individuals.

    Parameters
    ----------
    table : DataFrame
        From :func:`filling`.
    box : Box
    n : int
        As given to :func:`filling`.
    """
    grid = np.full((n, n), np.nan)
    first = table[table["new"]]
    grid[first["cell_sS"], first["cell_Q6"]] = first["generation"]
    with plt.rc_context(RC):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(9.0, 3.9), layout="constrained", width_ratios=(1.25, 1)
        )
        colours = ListedColormap(plt.get_cmap(EARLY_TO_LATE)(np.linspace(0.05, 0.97, 256)))
        image = left.pcolormesh(
            np.linspace(*box.sS, n + 1), np.linspace(*box.Q6, n + 1), grid.T, cmap=colours,
            rasterized=True,
        )  # fmt: skip
        figure.colorbar(image, ax=left, label="generation that reached the cell")
        seeds = table[table["generation"] == 0]
        look = SETS["seeds"]
        left.scatter(
            seeds["sS"], seeds["Q6"], s=16, marker=look.marker, color="#D55E00",
            linewidths=0, label=f"seeds ({len(seeds):,})",
        )  # fmt: skip
        left.set(xlim=box.sS, ylim=box.Q6)
        landscape_labels(left)
        left.legend(loc="upper right", framealpha=0.9, frameon=True)
        left.set_title(f"{int(table['new'].sum()):,} of {n * n:,} cells", pad=6)
        right.plot(np.arange(1, len(table) + 1), table["occupied"], color="#0072B2")
        right.set(xlabel="individuals in the library", ylabel="occupied cells")
        right.set_xlim(0, len(table))
        right.set_ylim(0, None)
        right.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        right.set_title("filling over the generations", pad=6)
    return figure


def write_filling(table: pd.DataFrame, box: Box, n: int, data: Path, figure: Path) -> None:
    """Write the table (Parquet) and its figure (.png, .svg or .pdf)."""
    with atomic_path(data) as path:
        table.to_parquet(path, index=False)
    drawn = report(table, box, n)
    with atomic_path(figure) as path:
        drawn.savefig(path, dpi=200)
    plt.close(drawn)
