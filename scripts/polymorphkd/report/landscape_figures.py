"""Figures on the landscape: what was generated and chosen, and where the models err."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, TwoSlopeNorm

from ..evaluate.models import MODELS as NAMES
from ..plots.style import (
    DENSE,
    MODELS,
    SETS,
    WIDE,
    as_uri,
    figure,
    landscape_labels,
    plain_log,
)
from .blocks import Image
from .collect import Run

NEGLIGIBLE = 0.1
"""Force errors below this (meV/Å) are those of atoms on which symmetry allows no force."""


def _library(axes: Axes, points: pd.DataFrame, label: str | None = None) -> None:
    look = SETS["library"]
    if len(points) > DENSE:
        axes.hexbin(
            points["sS"], points["Q6"], gridsize=90, bins="log", cmap="Greys", linewidths=0,
            mincnt=1, rasterized=True,
        )  # fmt: skip
        axes.plot([], [], "s", color="#999999", label=label)
        return
    axes.plot(
        points["sS"], points["Q6"], "o", ms=2.4, color=look.colour, mew=0, label=label,
        rasterized=True,
    )  # fmt: skip


def landscape_figure(run: Run) -> Image:
    """Every set of the run on one landscape, with the targets of the generator."""
    points = run.points
    with figure(WIDE) as (fig, axes):
        if "library" in points:
            _library(axes, points["library"], _named("library", points))
        if "supplementary" in points:
            _scatter(axes, points, "supplementary", ms=3.2)
        chosen = "standard" if "standard" in points else "labelled"
        if chosen in points:
            _scatter(axes, points, chosen, ms=5.2, mec="white", mew=0.4)
        if "seeds" in points:
            _scatter(axes, points, "seeds", ms=8.5, mec="white", mew=0.5)
        test = run.frames["dnn-kd"]
        axes.plot(
            test["sS"], test["Q6"], "o", ms=9, mfc="none", mec=SETS["test"].colour, mew=1.6,
            label=f"test set: {len(test)}",
        )  # fmt: skip
        targets = None if run.targets is None else run.targets.dropna(subset=["sS"])
        if targets is not None and len(targets):
            axes.plot(
                targets["sS"], targets["Q6"], "x", ms=6, color="#555B63", mew=1.3,
                clip_on=False, label=f"targets of the generator: {len(targets)}",
            )  # fmt: skip
        landscape_labels(axes)
        legend = fig.legend(loc="outside upper left", ncols=3, handletextpad=0.4)
        for handle in legend.get_lines():
            handle.set_markersize(max(6.0, handle.get_markersize()))
        names = ", ".join(f"{len(table)} {name}" for name, table in points.items())
        return Image(
            as_uri(fig), f"Scatter plot of Q6 against sS: {names}, {len(test)} test frames"
        )


def _named(name: str, points: dict[str, pd.DataFrame]) -> str:
    return f"{SETS[name].name}: {len(points[name]):,}"


def _scatter(axes: Axes, points: dict[str, pd.DataFrame], name: str, **style: Any) -> None:
    look, table = SETS[name], points[name]
    axes.plot(
        table["sS"], table["Q6"], look.marker, color=look.colour, label=_named(name, points),
        rasterized=len(table) > 2000, **{"mew": 0.0, **style},
    )  # fmt: skip


def error_maps(run: Run) -> list[Image]:
    """Force RMSE of each test frame for teacher and students, and the change between these."""
    tables = {model: run.frames[model] for model in NAMES}
    values = np.concatenate([table["force_rmse"] for table in tables.values()])
    high = max(values.max(), 1.0)
    low = max(values.min(), high / 100)
    images = []
    for model, table in tables.items():
        with figure() as (fig, axes):
            _background(axes, run)
            shown = axes.scatter(
                table["sS"], table["Q6"], c=table["force_rmse"], s=42, cmap="viridis_r",
                norm=LogNorm(low, high), edgecolors="#222222", linewidths=0.4,
            )  # fmt: skip
            below = "min" if values.min() < low else "neither"
            bar = fig.colorbar(shown, ax=axes, pad=0.02, extend=below)
            bar.set_label("force RMSE of the frame (meV/Å)")
            plain_log(bar.ax.yaxis)
            axes.set_title(MODELS[model].name)
            landscape_labels(axes, short=True)
            images.append(Image(as_uri(fig), f"Force error of {model} over the landscape"))
    images.append(_change_map(run))
    return images


def _background(axes: Axes, run: Run) -> None:
    known = run.points.get("library", run.points.get("labelled"))
    if known is not None:
        axes.plot(
            known["sS"], known["Q6"], ".", ms=2, color="#DDE0E4", mew=0, rasterized=True, zorder=0
        )


def _change_map(run: Run) -> Image:
    old, new = run.frames["dnn"], run.frames["dnn-kd"]
    still = np.maximum(old["force_rmse"], new["force_rmse"]) < NEGLIGIBLE
    change = 100 * (new["force_rmse"] / old["force_rmse"] - 1)[~still]
    better = int((change < 0).sum())
    limit = min(100.0, float(change.abs().max())) if len(change) else 100.0
    with figure() as (fig, axes):
        _background(axes, run)
        axes.plot(old["sS"][still], old["Q6"][still], "o", mfc="none", mec="#555B63", ms=6)
        shown = axes.scatter(
            old["sS"][~still], old["Q6"][~still], c=change, s=42, cmap="BrBG_r",
            edgecolors="#222222", norm=TwoSlopeNorm(0, -limit, limit), linewidths=0.4,
        )  # fmt: skip
        beyond = "max" if (change > limit).any() else "neither"
        bar = fig.colorbar(shown, ax=axes, pad=0.02, extend=beyond)
        bar.set_label("dnn-kd against dnn (%)")
        axes.set_title(f"dnn-kd is better on {better} of {len(change)} frames")
        landscape_labels(axes, short=True)
        return Image(as_uri(fig), f"Relative change of the error; {better} frames improve")
