"""Melt-quench runs over time: temperature, volume, order."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from ..provenance import atomic_path
from .style import RC

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
PANELS = (
    ("temperature_K", "temperature (K)"),
    ("volume_A3_per_atom", "volume (Å³/atom)"),
    ("sS", "sS (kB/atom)"),
    ("Q6", "Q6"),
)


def plot_runs(table: pd.DataFrame, path: Path) -> None:
    """Write the figure.

    Parameters
    ----------
    table : DataFrame
        Of :func:`seeds.melt_runs.with_points`.
    path : Path
    """
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            len(PANELS), 1, figsize=(7, 7.5), sharex=True, layout="constrained"
        )
        for (start, lines), colour in zip(
            table.groupby("start", sort=False), COLOURS * len(table), strict=False
        ):
            for panel, (column, _) in zip(axes, PANELS, strict=True):
                shown = lines.dropna(subset=[column])
                style = {"marker": "o", "ms": 3} if column in ("sS", "Q6") else {}
                panel.plot(
                    shown["time_ps"], shown[column], color=colour, lw=1, label=start, **style
                )
        first = table[table["start"] == table["start"].iloc[0]]
        axes[0].plot(first["time_ps"], first["target_K"], "--", color="#8A9099", label="target")
        for end in first.groupby("stage", sort=False)["time_ps"].max().iloc[:-1]:
            for panel in axes:
                panel.axvline(end, color="#8A9099", lw=0.8)
        for panel, (_, label) in zip(axes, PANELS, strict=True):
            panel.set_ylabel(label)
        axes[0].legend()
        axes[-1].set(xlabel="time (ps)", ylim=(0, None))
        figure.align_ylabels(axes)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=160)
        plt.close(figure)
