"""Figure of docs/selection.md: the frames that each method chooses of one library.

python benchmarks/selection.py --points points.parquet
python docs/images/make_selection_figure.py points.parquet [COUNT]
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from polymorphkd.landscape.tables import read_points
from polymorphkd.plots.style import RC, SETS, landscape_labels
from polymorphkd.select import run_rounds
from polymorphkd.settings import Choice, Round

HERE = Path(__file__).parent
TITLES = {
    "grid": "grid",
    "random": "random",
    "farthest-point": "farthest point",
    "direct": "DIRECT (sS, Q6, volume)",
}


def draw(table: pd.DataFrame, count: int, output: Path) -> None:
    """One panel per method, all with the same library and the same number of frames."""
    xy = table[["sS", "Q6"]].to_numpy(dtype=float)
    with plt.rc_context(RC):
        figure, panels = plt.subplots(2, 2, figsize=(9.2, 6.6), sharex=True, sharey=True)
        for axes, (method, title) in zip(panels.flat, TITLES.items(), strict=True):
            found = run_rounds(table, [("all", Round(count=count))], Choice(method=method))
            last = found.report["rounds"][0]["so_far"]
            for rows, look, size in (
                (np.arange(len(xy)), SETS["library"], 2.0),
                (found.rows, SETS["standard"], 4.2),
            ):
                axes.plot(*xy[rows].T, look.marker, color=look.colour, ms=size, mew=0)
            axes.set_title(
                f"{title}: {len(found.rows)} of {len(xy):,}\n"
                f"{last['occupied']} cells, farthest {last['covering_radius']:.3f}"
            )
            landscape_labels(axes, short=True)
            axes.label_outer()
        figure.tight_layout()
        figure.savefig(output, dpi=110)
        plt.close(figure)


if __name__ == "__main__":
    draw(read_points(sys.argv[1]), int((sys.argv[2:] or ["100"])[0]), HERE / "selection.png")
