"""What a figure of landscape tables shows, before anything is drawn.

Images and pages are made from the same :class:`Scene`, so that they agree on names,
colours, markers, counts and on what is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter, map_coordinates

from ..errors import InputError
from ..landscape.grid import Box, bounding_box, inside
from ..landscape.tables import PointSet
from .style import OTHER, PALETTE, Look

QUANTITIES = {
    "energy_per_atom": "energy per atom (eV)",
    "volume_per_atom": "volume per atom (Å³)",
    "min_distance": "shortest distance (Å)",
    "n_atoms": "atoms per frame",
    "n_isolated": "atoms without neighbour",
    "n_overlapping": "overlapping atoms",
    "sS": "sS (kB per atom)",
    "Q6": "Q6",
}
"""Names with units of the numbers that a table of points holds."""

DENSITY = "density of points (densest: 1)"

NO_VALUE = "no value"
"""Category of points without one, for instance of a set that lacks the column."""


@dataclass(frozen=True)
class Layer:
    """Points that look alike, in the order in which they appear in the legend.

    Parameters
    ----------
    look : Look
        Name, colour and marker.
    rows : ndarray, int
        Rows of :attr:`Scene.points`.
    """

    look: Look
    rows: np.ndarray

    @property
    def label(self) -> str:
        """Name and number of points."""
        return f"{self.look.name}: {len(self.rows):,}"


@dataclass
class Scene:
    """Points and how they are told apart.

    Parameters
    ----------
    points : DataFrame
        Rows of all sets, with the columns ``set`` (name) and ``set_index`` added.
    layers : list of Layer
        Sets or categories; every row belongs to one.
    legend : list of (Look, str)
        Entries of the legend.
    values : ndarray, shape (n_points,), float64, optional
        Number that gives each point its colour; NaN where there is none.
    quantity : str
        Name of that number, with unit.
    category : str
        Column whose categories the layers are, empty where they are sets.
    notes : list of str
        What the reader has to be told: points left out, and why.
    box : Box
        What the axes show.
    tables : list of path
        File of each set, by ``set_index``.
    """

    points: pd.DataFrame
    layers: list[Layer]
    legend: list[tuple[Look, str]]
    box: Box
    values: np.ndarray | None = None
    quantity: str = ""
    category: str = ""
    notes: list[str] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)

    @property
    def xy(self) -> np.ndarray:
        """(sS in kB per atom, Q6), shape (n_points, 2)."""
        return self.points[["sS", "Q6"]].to_numpy(dtype=float)


def make_scene(sets: Sequence[PointSet], color: str | None, box: Box | None) -> Scene:
    """Scene of one or several sets.

    Parameters
    ----------
    sets : sequence of PointSet
    color : str, optional
        A column of the tables, ``source`` (file of the structure), ``density``, or None:
        a colour per set.
    box : Box, optional
        Points outside are left out and counted in the notes.

    Raises
    ------
    InputError
        No set has the column, or no point lies in the box.
    """
    points = pd.concat(
        [s.points.assign(set=s.name, set_index=i) for i, s in enumerate(sets)], ignore_index=True
    )
    notes = []
    if n_missing := sum(s.n_missing for s in sets):
        notes.append(f"{n_missing:,} without sS not shown")
    if box is not None:
        kept = inside(points[["sS", "Q6"]].to_numpy(dtype=float), box)
        if not kept.any():
            raise InputError(f"--limits: none of the {len(points):,} points lies within them")
        if not kept.all():
            notes.append(f"{(~kept).sum():,} outside the limits not shown")
        points = points[kept].reset_index(drop=True)
    shown = box or _padded(bounding_box(points[["sS", "Q6"]].to_numpy(dtype=float)))
    scene = Scene(points, [], [], shown, notes=notes, tables=[s.path for s in sets])
    names = [s.name for s in sets]
    if color is None:
        _by_set(scene, names)
    elif color == "density":
        _by_set(scene, names)
        scene.values, scene.quantity = relative_density(scene.xy), DENSITY
    else:
        _by_column(scene, names, color)
    return scene


def _padded(box: Box) -> Box:
    """Box with a margin of 4 %; one without extent gets room around its point."""
    (s0, s1), (q0, q1) = box.sS, box.Q6
    ds, dq = 0.04 * (s1 - s0) or 0.5, 0.04 * (q1 - q0) or 0.02
    return Box((s0 - ds, s1 + ds), (max(q0 - dq, 0.0), q1 + dq))


def _by_set(scene: Scene, names: Sequence[str]) -> None:
    index = scene.points["set_index"].to_numpy()
    for i, name in enumerate(names):
        look = PALETTE[i % len(PALETTE)]
        layer = Layer(Look(name, look.colour, look.marker), np.flatnonzero(index == i))
        scene.layers.append(layer)
        scene.legend.append((layer.look, layer.label))


def _by_column(scene: Scene, names: Sequence[str], color: str) -> None:
    if color not in scene.points:
        own = [str(c) for c in scene.points if c not in ("set", "set_index")]
        raise InputError(
            f"--color {color}: no such column; allowed is source, density, {', '.join(own)}"
        )
    column = scene.points[color]
    if color == "source":
        column = _short_paths(column)
    if is_number(column):
        values = column.to_numpy(dtype=float)
        if not np.isfinite(values).any():
            raise InputError(f"--color {color}: no point has a value in this column")
        _by_set(scene, names)
        scene.values, scene.quantity = values, QUANTITIES.get(color, color)
        if n_none := int((~np.isfinite(values)).sum()):
            scene.notes.append(f"{n_none:,} without a value in grey")
        return
    scene.category = color
    _by_category(scene, names, categories(column))


def is_number(column: pd.Series) -> bool:
    """Whether a column is a scale; a few whole numbers are names of categories."""
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        return False
    return pd.api.types.is_float_dtype(column) or column.nunique() > len(PALETTE)


def categories(column: pd.Series) -> pd.Series:
    """The column as text with as many values as the palette has colours, or fewer.

    What is beyond the most frequent ones becomes one category, and so does what has no
    value.
    """
    text = column.astype("object").where(column.notna(), None)
    text = text.map(lambda value: NO_VALUE if value is None else str(value))
    order = text.value_counts().index.tolist()
    if len(order) > len(PALETTE):
        kept = order[: len(PALETTE) - 1]
        return text.where(text.isin(kept), f"{len(order) - len(kept)} others")
    return text


def _short_paths(column: pd.Series) -> pd.Series:
    """File names without folders where they tell the files apart."""
    unique = column.dropna().unique()
    short = {path: Path(path).name for path in unique}
    return column.map(short) if len(set(short.values())) == len(unique) else column


def _by_category(scene: Scene, names: Sequence[str], text: pd.Series) -> None:
    """A colour per category, most frequent first; the marker tells sets apart if several.

    With one set colour and marker both tell the category.
    """
    counts = text.value_counts()
    last = {name for name in counts.index if name.endswith(" others") or name == NO_VALUE}
    order = sorted(counts.index, key=lambda name: (name in last, -counts[name], name))
    index = scene.points["set_index"].to_numpy()
    several = len(names) > 1
    for i, name in enumerate(order):
        look = OTHER if name in last else PALETTE[i]
        marker = "o" if several else look.marker
        scene.legend.append((Look(name, look.colour, marker), f"{name}: {counts[name]:,}"))
        for j in range(len(names)):
            rows = np.flatnonzero((text == name).to_numpy() & (index == j))
            if len(rows):
                own = PALETTE[j % len(PALETTE)].marker if several else look.marker
                scene.layers.append(Layer(Look(name, look.colour, own), rows))
    if several:
        for j, name in enumerate(names):
            grey = Look(name, "#555B63", PALETTE[j % len(PALETTE)].marker)
            scene.legend.append((grey, f"{name}: {(index == j).sum():,}"))


def relative_density(xy: np.ndarray, n: int = 256) -> np.ndarray:
    """Smoothed density of points at each point, over its largest value.

    Parameters
    ----------
    xy : ndarray, shape (n_points, 2)
    n : int
        Bins per axis; the density is smoothed over 1 % of the box.

    Returns
    -------
    ndarray, shape (n_points,), float64, above 0 to 1
    """
    scaled = bounding_box(xy).scaled(xy)
    counts, _, _ = np.histogram2d(scaled[:, 0], scaled[:, 1], bins=n, range=[[0, 1], [0, 1]])
    smooth = gaussian_filter(counts, 0.01 * n, mode="constant")
    density = map_coordinates(smooth, scaled.T * n - 0.5, order=1, mode="nearest")
    return density / density.max()


def limits_of(values: np.ndarray) -> tuple[float, float, str]:
    """Range of a colour scale and which of its ends goes on beyond.

    The range is that of all values, unless a few of them would take most of it.
    """
    finite = values[np.isfinite(values)]
    low, high = float(finite.min()), float(finite.max())
    inner_low, inner_high = (float(v) for v in np.quantile(finite, [0.01, 0.99]))
    room = 0.5 * (inner_high - inner_low)
    below, above = low < inner_low - room, high > inner_high + room
    if room > 0:
        low, high = (inner_low if below else low), (inner_high if above else high)
    else:
        below = above = False
    if low == high:
        low, high = low - 0.5, high + 0.5
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}
    return low, high, extend[int(below), int(above)]
