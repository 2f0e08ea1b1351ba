"""Figure of a scan: errors and cost over k-spacing and cutoff for three frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from ...plots.style import PALETTE, RC, plain_log
from ...settings import Converge, Label
from .errors import UNITS, by_setting
from .scan import FRAMES, in_use

SIZE = (9.2, 8.2)
FLOOR = 0.02
"""Errors below this part of the tolerance are drawn there: they are noise of the SCF cycle."""

LIMIT = "#7A2E8E"
USED = "#555B63"
DOTS = (0, (1, 1.5))
CHOSEN = "#F0C24B"


@dataclass(frozen=True)
class Panel:
    """One row of the figure: column, thinner second column, label of the axis, tolerance."""

    column: str
    second: str | None
    label: str
    limit: float | None

    @property
    def floor(self) -> float:
        """Smallest value that is drawn; a cost has none."""
        return FLOOR * (self.limit or 0.0)


def _panels(converge: Converge) -> tuple[Panel, ...]:
    energy, force = converge.tolerance_energy, converge.tolerance_force
    return (
        Panel("difference_error", "energy_error", "energy error (meV/atom)", energy),
        Panel("force_rmse", None, "force error (RMSE, meV/Å)", force),
        Panel("seconds", None, "time per label (s)", None),
    )


def draw(table: pd.DataFrame, settings: Label) -> Figure:
    """Errors against the finest settings, and what a label costs; fine settings on the right.

    Parameters
    ----------
    table : DataFrame
        Of :func:`errors`.
    settings : Label
        With ``converge``.

    Returns
    -------
    Figure
        To be saved and closed by the caller.
    """
    converge = settings.converge
    assert converge is not None
    rows = by_setting(table, settings)
    panels = _panels(converge)
    with plt.rc_context(RC):
        fig, grid = plt.subplots(
            len(panels), 2, figsize=SIZE, layout="constrained", sharex="col", sharey="row"
        )
        for column, scan in enumerate(UNITS):
            part = _scan(table, rows, scan)
            for axes, panel in zip(grid[:, column], panels, strict=True):
                _draw_panel(axes, part, panel, scan)
                axes.axvline(in_use(settings)[column], color=USED, ls=DOTS, lw=1.6, zorder=0.5)
        for (left, _), panel in zip(grid, panels, strict=True):
            left.set_ylabel(panel.label)
            _scale(left, panel)
        for column, scan in enumerate(UNITS):
            _finish_column(grid[:, column], rows, converge, scan)
        fig.legend(
            handles=list(_legend(table)), loc="outside lower center", ncols=3, columnspacing=1.6
        )
    return fig


def _scan(table: pd.DataFrame, rows: pd.DataFrame, scan: str) -> pd.DataFrame:
    """Rows of one scan, coarse to fine."""
    pairs = rows[rows["scan"] == scan][["kspacing", "cutoff"]]
    return pairs.merge(table, on=["kspacing", "cutoff"], how="left")


def _draw_panel(axes: Axes, part: pd.DataFrame, panel: Panel, scan: str) -> None:
    for look, name in zip(PALETTE, FRAMES, strict=False):
        one = part[part["frame"] == name]
        if panel.second is not None:
            x, y = _curve(one, scan, panel.second, panel.floor)
            axes.plot(x, y, color=look.colour, marker=look.marker, ms=3, lw=1, ls=":")
        x, y = _curve(one, scan, panel.column, panel.floor)
        axes.plot(x, y, color=look.colour, marker=look.marker, ms=5.5)
        for x in one.loc[one["status"] != "ok", scan]:
            axes.plot(
                x, 0.97, ls="", marker="x", color=look.colour, ms=7, mew=2,
                transform=axes.get_xaxis_transform(), zorder=5,
            )  # fmt: skip
    if panel.limit is not None:
        axes.axhline(panel.limit, color=LIMIT, ls="--", lw=1.2, zorder=1)


def _curve(
    one: pd.DataFrame, scan: str, column: str, floor: float
) -> tuple[np.ndarray, np.ndarray]:
    """Points of a curve with gaps; the error of the finest itself, which is zero, is none."""
    y = one[column].abs().to_numpy()
    shown = np.isfinite(y) & ((y > 0) | (np.arange(len(y)) < len(y) - 1))
    return one[scan].to_numpy(), np.where(shown, np.maximum(y, floor), np.nan)


def _scale(axes: Axes, panel: Panel) -> None:
    axes.set_yscale("log")
    if panel.limit is not None:
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, 0.8 * FLOOR * panel.limit), max(high, 2 * panel.limit))
    else:
        low, high = axes.get_ylim()
        axes.set_ylim(low / 1.3, high * 1.3)
    plain_log(axes.yaxis)


def _finish_column(column: np.ndarray, rows: pd.DataFrame, converge: Converge, scan: str) -> None:
    name, unit = UNITS[scan]
    k, c = min(converge.kspacings), max(converge.cutoffs)
    other = f"at cutoff {c:g} eV" if scan == "kspacing" else f"at k-spacing {k:g} 1/Å"
    column[0].set_title(f"{name}, {other}")
    last = column[-1]
    last.set_xlabel(f"{name} ({unit})")
    values = sorted(converge.kspacings if scan == "kspacing" else converge.cutoffs)
    last.set_xticks(values, [f"{v:g}" for v in values])
    last.xaxis.set_minor_locator(NullLocator())
    if scan == "kspacing":
        last.invert_xaxis()
    chosen = rows[(rows["scan"] == scan) & rows["mark"].str.contains("coarsest")]
    for axes in column:
        for value in chosen[scan]:
            axes.axvline(value, color=CHOSEN, lw=8, alpha=0.45, zorder=0)


def _legend(table: pd.DataFrame) -> Iterator[Line2D]:
    for look, name in zip(PALETTE, FRAMES, strict=False):
        one = table[table["frame"] == name].iloc[0]
        text = f"{name} ({one['volume_per_atom']:.1f} Å³/atom, {one['n_atoms']} atoms)"
        yield Line2D([], [], color=look.colour, marker=look.marker, ms=5.5, label=text)
    yield Line2D([], [], color="k", marker=".", label="energy, less the mean error of the three")
    yield Line2D([], [], color="k", ls=":", lw=1, marker=".", ms=3, label="energy, total")
    yield Line2D([], [], color=LIMIT, ls="--", lw=1.2, label="tolerance")
    yield Line2D([], [], color=CHOSEN, lw=8, alpha=0.45, label="coarsest within tolerances")
    yield Line2D([], [], color=USED, ls=DOTS, lw=1.6, label="in use")
    if (table["status"] != "ok").any():
        yield Line2D([], [], color="k", ls="", marker="x", ms=7, mew=2, label="no label")
