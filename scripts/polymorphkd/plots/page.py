"""Page to explore a landscape: hover names a point, a click shows its structure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined

from ..provenance import atomic_path
from .scene import DENSITY, Scene, limits_of
from .structures import elements, embedded, share_evenly
from .style import DENSE, OTHER, plain_colour_ticks

if TYPE_CHECKING:
    from .figure import Options

FOLDER = Path(__file__).parent

ON_DENSITY = 5000
"""Points on a page that shows the density as well, and that has to stay visible."""

MOST = 50_000
"""Points of a page without a density; its text grows by 100 bytes with each."""

N_BINS = 150
"""Bins of that density along an axis."""

SYMBOLS = {
    "o": "circle", "^": "triangle-up", "s": "square", "D": "diamond", "v": "triangle-down",
    "P": "cross", "X": "x", ".": "circle", "*": "star",
}  # fmt: skip
"""Markers of the house in the words of plotly."""


def write_page(scene: Scene, output: Path, options: Options) -> list[str]:
    """Write one HTML file that needs no other file and no network; return its notes."""
    from plotly.offline import get_plotlyjs

    data = page_data(scene, options)
    environment = Environment(undefined=StrictUndefined, autoescape=True)
    template = environment.from_string((FOLDER / "page.html.j2").read_text())
    text = template.render(
        title=data["title"],
        notes=data["notes"],
        plotly=get_plotlyjs(),
        script=(FOLDER / "page.js").read_text(),
        # "<" must not end the element that holds the data.
        data=json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
    )
    with atomic_path(output) as temporary:
        temporary.write_text(text)
    return data["notes"]


def page_data(scene: Scene, options: Options) -> dict[str, Any]:
    """Everything that the page shows, as plain data (see ``page.js``, which draws it).

    ``points`` are columns with one entry per point shown; ``layers`` hold rows of these;
    ``structures`` map rows to structures (see :func:`~.structures.encode`).
    """
    notes = list(scene.notes)
    groups = [layer.rows for layer in scene.layers]
    dense = options.kind == "density" or (options.kind is None and len(scene.points) > DENSE)
    rows = np.arange(len(scene.points))
    if len(rows) > (most := ON_DENSITY if dense else MOST):
        rows = share_evenly(groups, scene.xy, scene.box, most)
        notes.append(
            f"{len(rows):,} of {len(scene.points):,} points, evenly over the landscape, "
            "can be hovered over and clicked"
        )
    if dense:
        notes.append("grey: density of all points, on a logarithmic scale")
    place = np.full(len(scene.points), -1)
    place[rows] = np.arange(len(rows))
    shown = scene.points.iloc[rows].reset_index(drop=True)
    local = [place[group][place[group] >= 0] for group in groups]
    found, messages = embedded(shown, local, scene.box, options.structures, scene.tables)
    return {
        "title": options.title or "Entropy-symmetry landscape",
        "limits": {"sS": list(scene.box.sS), "Q6": list(scene.box.Q6)},
        "layers": [
            {
                "name": layer.look.name, "label": layer.label, "colour": layer.look.colour,
                "symbol": SYMBOLS[layer.look.marker], "rows": part.tolist(),
            }
            for layer, part in zip(scene.layers, local, strict=True)
        ],
        "legend": [
            {"label": label, "colour": look.colour, "symbol": SYMBOLS[look.marker]}
            for look, label in scene.legend
        ],
        "category": scene.category,
        "scale": _scale(scene, rows),
        "points": _columns(shown),
        "density": _density(scene) if dense else None,
        "structures": found,
        "elements": elements(found),
        "notes": notes + messages,
    }  # fmt: skip


def _numbers(values: Any, decimals: int) -> list[float | None]:
    rounded = np.round(np.asarray(values, dtype=float), decimals)
    return [float(v) if np.isfinite(v) else None for v in rounded]


def _columns(points: pd.DataFrame) -> dict[str, Any]:
    """Columns for hovering; repeated text is listed once and named by its place."""
    columns: dict[str, Any] = {
        "sS": _numbers(points["sS"], 4),
        "Q6": _numbers(points["Q6"], 5),
        "id": points["frame_id"].astype(str).tolist(),
    }
    for name in ("set", "source", "formula"):
        if name in points:
            codes, unique = pd.factorize(points[name])
            columns[name] = {"of": codes.tolist(), "names": [str(value) for value in unique]}
    if "source_index" in points:
        columns["index"] = _numbers(points["source_index"], 0)
    if "energy_per_atom" in points and points["energy_per_atom"].notna().any():
        columns["energy"] = _numbers(points["energy_per_atom"], 5)
    return columns


def _scale(scene: Scene, rows: np.ndarray) -> dict[str, Any] | None:
    """Colour of each shown point on a scale; logarithms where the scale is logarithmic."""
    if scene.values is None:
        return None
    low, high, _ = limits_of(scene.values)
    values, ticks = scene.values[rows], None
    if scene.quantity == DENSITY:
        low = max(low, high / 1000)
        ticks = plain_colour_ticks(low, high)
        values, low, high = np.log10(np.maximum(values, low)), np.log10(low), np.log10(high)
    return {
        "label": scene.quantity,
        "low": float(low),
        "high": float(high),
        "values": _numbers(values, 6),
        "ticks": ticks,
        "missing": OTHER.colour,
    }


def _density(scene: Scene) -> dict[str, Any]:
    x, y = scene.xy.T
    counts, sS, Q6 = np.histogram2d(x, y, bins=N_BINS, range=[scene.box.sS, scene.box.Q6])
    logs = np.log10(np.where(counts > 0, counts, np.nan)).T
    return {
        "sS": _numbers((sS[1:] + sS[:-1]) / 2, 5),
        "Q6": _numbers((Q6[1:] + Q6[:-1]) / 2, 6),
        "log10_count": [_numbers(row, 2) for row in logs],
    }
