"""Print-quality figures of landscape tables, with histograms along both axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..coverage import make_box
from ..errors import InputError
from ..landscape.tables import read_sets
from ..provenance import atomic_path
from .scene import DENSITY, Layer, Scene, limits_of, make_scene
from .style import DENSE, OTHER, RC, landscape_labels, plain_log

IMAGES = (".png", ".svg", ".pdf")

SIZE = (6.7, 5.6)
"""Inches; the width of a figure over two columns."""

DPI = 300

MANY = 2000
"""Points that a vector figure still holds one by one; more are drawn as an image in it."""

N_BINS = 60
"""Bins of the histograms, and hexagons of a density, along an axis."""

QUIET: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""Nothing of the day and the machine in the file: the same points give the same bytes."""


@dataclass(frozen=True)
class Options:
    """What the user asked for; see ``polymorphkd plot --help``."""

    kind: str | None = None
    color: str | None = None
    title: str | None = None
    limits: Sequence[float] | None = None
    structures: int = 500


def plot(
    paths: Sequence[Path],
    output: Path,
    options: Options | None = None,
    labels: Sequence[str] | None = None,
) -> str:
    """Figure (.png, .svg, .pdf) or page (.html) of tables of points.

    Returns
    -------
    str
        One line for the user: what was written, and what is not in it.

    Raises
    ------
    InputError
        A table, an option or the output cannot be used.
    StageError
        The tables were made with different settings.
    """
    options = options or Options()
    if output.suffix not in (*IMAGES, ".html"):
        raise InputError(f"{output}: allowed is {', '.join(IMAGES)} or .html")
    if not output.parent.is_dir():
        raise InputError(f"{output}: there is no folder {output.parent}")
    box = None if options.limits is None else make_box(options.limits)
    scene = make_scene(read_sets(paths, labels), options.color, box)
    if output.suffix == ".html":
        from .page import write_page  # plotly, which images do not need

        notes = write_page(scene, output, options)
    else:
        notes = write_image(scene, output, options)
    return "; ".join([f"{len(scene.points):,} points -> {output}", *notes])


def write_image(scene: Scene, output: Path, options: Options) -> list[str]:
    """Write the figure of a scene as .png, .svg or .pdf; return its notes."""
    with plt.rc_context(RC):
        fig = draw(scene, options)
        try:
            with atomic_path(output) as temporary:
                fig.savefig(temporary, dpi=DPI, metadata=QUIET[output.suffix])
        finally:
            plt.close(fig)
    return scene.notes


def draw(scene: Scene, options: Options) -> Figure:
    """Figure of a scene: points or density, histograms, legend, colour bar, notes."""
    kind = options.kind or ("density" if len(scene.points) > DENSE else "scatter")
    tight = ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05, wspace=0, hspace=0)
    fig = plt.figure(figsize=SIZE, layout=tight)
    places = fig.add_gridspec(2, 3, width_ratios=[1, 0.19, 0.035], height_ratios=[0.19, 1])
    axes = fig.add_subplot(places[1, 0])
    axes.set(xlim=scene.box.sS, ylim=scene.box.Q6)
    landscape_labels(axes)
    bar = _density(axes, scene) if kind == "density" else _scatter(axes, scene)
    if bar is not None:
        shown, label, extend = bar
        scale = fig.colorbar(shown, cax=fig.add_subplot(places[1, 2]), extend=extend)
        scale.set_label(label)
        scale.outline.set_visible(False)
        if isinstance(shown.norm, LogNorm):
            plain_log(scale.ax.yaxis)
    _margins(fig, axes, places, scene)
    _legend(fig, scene, options.title, kind, coloured=bar is not None)
    notes = list(scene.notes)
    if kind == "density" and bar is None:
        notes.append("darker: more points, on a logarithmic scale")
    if notes:
        fig.supxlabel("; ".join(notes), x=0.01, ha="left", fontsize=8, color=RC["xtick.color"])
    return fig


Bar = tuple[ScalarMappable, str, str]
"""What a colour bar shows, its label, and the ends that go on beyond it."""


def _scatter(axes: Axes, scene: Scene) -> Bar | None:
    n = len(scene.points)
    sS, Q6 = scene.xy.T
    size = float(np.clip(9 - 1.5 * np.log10(n), 1.2, 6.5))  # diameter in points
    edge = {"edgecolors": "white", "linewidths": 0.3} if n <= MANY else {"linewidths": 0}
    norm: Normalize | None = None
    if scene.values is not None:
        low, high, extend = limits_of(scene.values)
        logarithmic = scene.quantity == DENSITY
        norm = LogNorm(max(low, high / 1000), high) if logarithmic else Normalize(low, high)
    for layer in _drawing_order(scene.layers, mixed=n > MANY):
        style: dict[str, Any] = {
            "s": size**2, "marker": layer.look.marker, "rasterized": n > MANY, **edge,
        }  # fmt: skip
        if norm is None:
            axes.scatter(sS[layer.rows], Q6[layer.rows], color=layer.look.colour, **style)
            continue
        assert scene.values is not None
        has_value = np.isfinite(scene.values[layer.rows])
        rows = layer.rows[~has_value]
        axes.scatter(sS[rows], Q6[rows], color=OTHER.colour, **style)
        # In random order, so that no value is always on top of another.
        rows = np.random.default_rng(0).permutation(layer.rows[has_value])
        axes.scatter(sS[rows], Q6[rows], c=scene.values[rows], norm=norm, cmap="viridis", **style)
    if norm is None:
        return None
    return ScalarMappable(norm, "viridis"), scene.quantity, extend


def _drawing_order(layers: Sequence[Layer], mixed: bool) -> list[Layer]:
    """Small layers over large ones; many points in mixed slices, so that no layer hides all."""
    order = sorted(layers, key=lambda layer: -len(layer.rows))
    if not mixed or len(order) == 1:
        return order
    n_slices = 40
    shuffled = [np.random.default_rng(0).permutation(layer.rows) for layer in order]
    return [
        Layer(layer.look, rows[k::n_slices])
        for k in range(n_slices)
        for layer, rows in zip(order, shuffled, strict=True)
    ]


def _density(axes: Axes, scene: Scene) -> Bar | None:
    """Hexagons: numbers of points on a logarithmic scale, or the median of a number."""
    sS, Q6 = scene.xy.T
    style: dict[str, Any] = {
        "gridsize": (N_BINS, round(N_BINS / 1.9)),
        "extent": (*scene.box.sS, *scene.box.Q6),
        "linewidths": 0.2,
        "rasterized": True,
    }
    if scene.values is not None and scene.quantity != DENSITY:
        there = np.isfinite(scene.values)
        low, high, extend = limits_of(scene.values)
        shown = axes.hexbin(
            sS[there], Q6[there], C=scene.values[there], reduce_C_function=np.median,
            cmap="viridis", vmin=low, vmax=high, edgecolors="face", **style,
        )  # fmt: skip
        return shown, f"median {scene.quantity}", extend
    layers = _by_colour(scene)
    for layer in sorted(layers, key=lambda layer: -len(layer.rows)):
        several = len(layers) > 1
        shown = axes.hexbin(
            sS[layer.rows], Q6[layer.rows], bins="log", mincnt=1, cmap=shades(layer.look.colour),
            edgecolors="none" if several else "face", alpha=0.75 if several else None, **style,
        )  # fmt: skip
        counts = np.asarray(shown.get_array(), dtype=float)
        shown.set_clim(1, max(2.0, counts.max()))
    return None if len(layers) > 1 else (shown, "points per cell", "neither")


def _by_colour(scene: Scene) -> list[Layer]:
    """Layers joined where only the marker differs, which a density does not show."""
    looks = {layer.look.colour: layer.look for layer in reversed(scene.layers)}
    return [
        Layer(
            look,
            np.concatenate([x.rows for x in scene.layers if x.look.colour == colour]),
        )
        for colour, look in looks.items()
    ]


def shades(colour: str) -> LinearSegmentedColormap:
    """Colour map from a light tint to a dark shade of one colour."""
    base = np.array(to_rgb(colour))
    return LinearSegmentedColormap.from_list(
        colour, [0.22 * base + 0.78, 0.85 * base + 0.15 * base**2, 0.45 * base]
    )


def _margins(fig: Figure, axes: Axes, places: Any, scene: Scene) -> None:
    """Histograms above and to the right, which share the axes of the landscape."""
    above = fig.add_subplot(places[0, 0], sharex=axes)
    right = fig.add_subplot(places[1, 1], sharey=axes)
    layers = _by_colour(scene)
    for side, k, span in ((above, 0, scene.box.sS), (right, 1, scene.box.Q6)):
        bins = np.linspace(*span, N_BINS + 1)
        for layer in layers:
            counts, _ = np.histogram(scene.xy[layer.rows, k], bins)
            # Sets of different size are compared by shape: per cent of each.
            heights = counts if len(layers) == 1 else 100 * counts / len(layer.rows)
            plain = len(layers) == 1 and scene.values is not None
            side.stairs(
                heights, bins, fill=True, alpha=0.3 if len(layers) > 1 else 0.45,
                orientation="vertical" if k == 0 else "horizontal", lw=0,
                color="#8A9099" if plain else layer.look.colour,
            )  # fmt: skip
            side.stairs(
                heights, bins, orientation="vertical" if k == 0 else "horizontal", lw=1.0,
                baseline=None, color="#8A9099" if plain else layer.look.colour,
            )  # fmt: skip
        side.tick_params(labelleft=k == 0, labelbottom=k == 1, length=0)
        side.grid(False)
        value_axis = side.yaxis if k == 0 else side.xaxis
        value_axis.set_major_locator(MaxNLocator(2, min_n_ticks=2, integer=len(layers) == 1))
        value_axis.set_major_formatter(lambda v, _: f"{v / 1000:g}k" if v >= 10_000 else f"{v:g}")
        if k == 0:  # the other histogram counts the same
            value_axis.set_label_text("points" if len(layers) == 1 else "share (%)")
        (side.set_ylim if k == 0 else side.set_xlim)(0, None)
        side.spines[["left", "top"] if k == 0 else ["bottom", "top"]].set_visible(False)


def _legend(fig: Figure, scene: Scene, title: str | None, kind: str, coloured: bool) -> None:
    """Legend above the figure, in as many columns as fit, under the title."""
    handles = []
    for look, label in scene.legend:
        single_scale = coloured and scene.values is not None
        handles.append(
            Line2D(
                [], [], ls="", ms=6.5, mew=0,
                marker="h" if kind == "density" else look.marker,
                color="#555B63" if single_scale else look.colour, label=label,
            )
        )  # fmt: skip
    for columns in range(min(len(handles), 5), 0, -1):
        legend = fig.legend(
            handles=handles, loc="outside upper left", ncols=columns, title=title,
            handletextpad=0.3, columnspacing=1.4, alignment="left", borderaxespad=0.3,
            title_fontproperties={"weight": "bold", "size": 11},
        )  # fmt: skip
        if columns == 1 or legend.get_window_extent().width < 0.98 * fig.bbox.width:
            return
        legend.remove()
