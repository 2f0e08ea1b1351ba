"""Figures of the errors on the test set: parity and distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from ..evaluate.compare import AXES, VOIGT
from ..evaluate.gather import UNITS
from ..evaluate.models import MODELS as NAMES
from ..plots.style import MODELS, as_uri, figure
from .blocks import Image
from .collect import Run

QUANTITIES = {
    "energy": ("energy", "eV/atom", "meV/atom"),
    "force": ("force components", "eV/Å", "meV/Å"),
    "virial": ("virial components", "eV/atom", "meV/atom"),
}
"""Title, unit of the values and unit of the errors."""


def _pairs(run: Run, model: str, quantity: str) -> tuple[np.ndarray, np.ndarray]:
    """Reference and predicted values of one quantity, flat."""
    table = run.forces[model] if quantity == "force" else run.frames[model]
    names = {
        "energy": ["energy"],
        "force": list(AXES),
        "virial": [f"virial_{name}" for name in VOIGT],
    }[quantity]
    reference, predicted = (
        table[[f"{name}_{suffix}" for name in names]].to_numpy().ravel()
        for suffix in ("ref", "pred")
    )
    known = np.isfinite(reference)  # a test frame may have no stress
    return reference[known], predicted[known]


def quantities(run: Run) -> list[str]:
    """Those of `QUANTITIES` that a test frame has; all where DFT gave stresses."""
    spread = next(iter(run.errors["distribution"].values()))
    return [quantity for quantity in QUANTITIES if spread[UNITS[quantity]] is not None]


def parity_figures(run: Run, quantity: str) -> list[Image]:
    """Predicted against DFT values, one panel per model on common axes."""
    title, unit, error_unit = QUANTITIES[quantity]
    pairs = {model: _pairs(run, model, quantity) for model in NAMES}
    everything = np.concatenate([np.concatenate(pair) for pair in pairs.values()])
    low, high = everything.min(), everything.max()
    margin = 0.05 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    images = []
    for model, (reference, predicted) in pairs.items():
        look = MODELS[model]
        rmse = run.errors["rmse"][model][UNITS[quantity]]
        with figure((3.6, 3.4)) as (fig, axes):
            axes.plot(limits, limits, color="#8A9099", lw=1)
            axes.plot(
                reference, predicted, look.marker, ms=4 if quantity != "force" else 3,
                color=look.colour, alpha=0.75, mew=0, rasterized=len(reference) > 2000,
            )  # fmt: skip
            axes.set(xlim=limits, ylim=limits, aspect="equal")
            axes.set_xlabel(f"DFT {title} ({unit})")
            axes.set_ylabel(f"predicted ({unit})")
            axes.set_title(look.name)
            axes.text(
                0.04, 0.96, f"RMSE {rmse:.3g} {error_unit}", transform=axes.transAxes, va="top"
            )
            images.append(Image(as_uri(fig), f"{title} of {model} against DFT, RMSE {rmse:.3g}"))
    return images


def distribution_figures(run: Run) -> list[Image]:
    """Box plots of the signed errors: box from quartile to quartile, whiskers to min and max,
    and over each the normal curve of the same mean and standard deviation.

    Where the extremes are far beyond the quartiles, as for forces, the axis is linear in a
    band around zero, which is shaded, and logarithmic outside.
    """
    return [_boxes(run.errors["distribution"], quantity) for quantity in quantities(run)]


def _boxes(distribution: dict[str, Any], quantity: str) -> Image:
    title, _, unit = QUANTITIES[quantity]
    names = [name for name in NAMES if name in distribution][::-1]
    with figure((4.1, 2.5)) as (fig, axes):
        for position, name in enumerate(names):
            numbers = distribution[name][UNITS[quantity]]
            look = MODELS[name]
            box = {
                "whislo": numbers["min"],
                "q1": numbers["q1"],
                "med": numbers["median"],
                "q3": numbers["q3"],
                "whishi": numbers["max"],
            }
            axes.bxp(
                [box], positions=[position - 0.12], widths=0.4, orientation="horizontal",
                showfliers=False, patch_artist=True,
                boxprops={"facecolor": look.colour, "edgecolor": look.colour, "alpha": 0.8},
                medianprops={"color": "white", "linewidth": 2},
                whiskerprops={"color": look.colour}, capprops={"color": look.colour},
            )  # fmt: skip
            x = numbers["mean"] + numbers["std"] * np.linspace(-3.5, 3.5, 201)
            density = np.exp(-(((x - numbers["mean"]) / (numbers["std"] or 1.0)) ** 2) / 2)
            axes.plot(x, position + 0.12 + 0.32 * density, color="#555B63", lw=1)
        axes.axvline(0, color="#8A9099", lw=1, zorder=0)
        numbers = [distribution[name][UNITS[quantity]] for name in names]
        _error_scale(axes, numbers)
        axes.set_yticks(range(len(names)), names)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"error ({unit})")
        axes.set_title(title)
        return Image(as_uri(fig), f"Box plots of the errors of {title} of {', '.join(names)}")


def _error_scale(axes: Axes, numbers: list[dict[str, float]]) -> None:
    """Linear axis, or symlog with few round ticks where the extremes dwarf the quartiles."""
    quartile = max(abs(n[key]) for n in numbers for key in ("q1", "q3"))
    extreme = max(abs(n[key]) for n in numbers for key in ("min", "max"))
    if extreme < 8 * quartile or quartile == 0:
        return
    linear = 10 ** np.ceil(np.log10(1.2 * quartile))
    decades = linear * 10.0 ** np.arange(int(np.log10(extreme / linear)) + 2)
    axes.set_xscale("symlog", linthresh=linear, linscale=1.5)
    axes.set_xlim(-1.2 * extreme, 1.2 * extreme)
    ticks = [0.0, linear / 2, *decades[decades < 1.2 * extreme]]
    axes.set_xticks(sorted({sign * tick + 0.0 for tick in ticks for sign in (-1, 1)}))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axvspan(-linear, linear, color="#F1F3F5", zorder=-1)
