"""One look for every figure: colours per model and per set, fonts, and the way into a page.

The colours are those of Okabe and Ito, which readers with any colour vision tell apart;
lines and markers differ in shape as well.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator


@dataclass(frozen=True)
class Look:
    """Name in legends, colour and marker of a model or a set of frames."""

    name: str
    colour: str
    marker: str


MODELS = {
    "dft": Look("DFT", "#222222", "o"),
    "teacher": Look("teacher", "#0072B2", "^"),
    "dnn": Look("dnn (DFT only)", "#E69F00", "s"),
    "dnn-kd": Look("dnn-kd (distilled)", "#009E73", "D"),
}

SETS = {
    "library": Look("library", "#C3C9D1", "o"),
    "supplementary": Look("supplementary (teacher labels)", "#56B4E9", "o"),
    "standard": Look("standard (DFT labels)", "#D55E00", "o"),
    "labelled": Look("labelled (your own)", "#D55E00", "o"),
    "seeds": Look("seeds", "#111111", "*"),
    "test": Look("test set", "#A0307A", "o"),
}

RC: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#8A9099",
    "axes.grid": True,
    "axes.labelcolor": "#222222",
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "figure.dpi": 100,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "grid.color": "#E6E8EB",
    "grid.linewidth": 0.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "pdf.fonttype": 42,  # text stays text
    "savefig.dpi": 160,  # of the parts of a vector figure that are drawn as an image
    "svg.fonttype": "path",
    "svg.hashsalt": "polymorphkd",  # the same figure gives the same bytes
    "xtick.color": "#555B63",
    "xtick.labelsize": 9,
    "ytick.color": "#555B63",
    "ytick.labelsize": 9,
}

PALETTE = (
    Look("", "#0072B2", "o"),
    Look("", "#D55E00", "^"),
    Look("", "#009E73", "s"),
    Look("", "#CC79A7", "D"),
    Look("", "#E69F00", "v"),
    Look("", "#56B4E9", "P"),
    Look("", "#222222", "X"),
)
"""Colours and markers of sets and categories, in order of use."""

OTHER = Look("other", "#A7ADB5", ".")
"""Look of whatever has no colour of its own: categories beyond the palette, no value."""

DENSE = 20_000
"""More points than this are drawn as a density unless points are asked for."""

PANEL = (4.1, 3.3)
"""Size in inches of one panel; a page shows two or three side by side, a phone one."""

WIDE = (9.2, 5.2)
"""Size of a figure that fills the page."""


def landscape_labels(axes: Axes, short: bool = False) -> None:
    """Axis labels of the landscape: quantity, unit, and which side is ordered."""
    axes.set_xlabel(
        "sS (kB per atom)"
        if short
        else "←  ordered    pair entropy sS (kB per atom)    disordered  →"
    )
    axes.set_ylabel("Q6" if short else "bond order Q6")


@contextmanager
def figure(size: tuple[float, float] = PANEL) -> Iterator[tuple[Figure, Axes]]:
    """New figure in the house style with its axes; closed at the end."""
    with plt.rc_context(RC):
        fig, axes = plt.subplots(figsize=size, layout="constrained")
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        try:
            yield fig, axes
        finally:
            plt.close(fig)


def plain_log(axis: Axis) -> None:
    """Numbers such as 20, 50, 100 on a logarithmic axis that has its limits already."""
    low, high = sorted(axis.get_view_interval())
    subs = (1.0, 2.0, 5.0) if high < 2000 * low else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def plain_colour_ticks(low: float, high: float) -> list[float]:
    """Numbers such as 0.02, 0.05, 0.1 between two ends of a logarithmic scale."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [m * 10.0**k for k in decades for m in (1, 2, 5)]
    return [float(f"{t:.1g}") for t in ticks if low <= t <= high]


def as_uri(fig: Figure) -> str:
    """The figure as SVG inside a ``data:`` address, for an ``img`` without another file."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
