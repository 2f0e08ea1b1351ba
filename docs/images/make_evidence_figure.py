"""Figures of docs/evidence.md: test errors of teacher and students on the published sets.

evidence.png compares what distillation brings, frames.png the families of students.

python docs/images/make_evidence_figure.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator
from polymorphkd.plots.style import MODELS, RC, Look

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "benchmarks" / "results"
SETS = {
    "distillation_Si.json": "Si, 40\nmedium",
    "distillation_Mo_12.json": "Mo, 12\nmedium",
    "distillation_Cu_10.json": "Cu, 10\nmedium",
    "distillation_Mo_20.json": "Mo, 20\nmedium",
    "distillation_Mo_10.json": "Mo, 10\nmedium",
    "distillation_Si_small.json": "Si, 40\nsmall",
    "distillation_Si_tiny.json": "Si, 40\ntiny",
}
QUANTITIES = {
    "force": "force (meV/Å)",
    "energy": "energy (meV/atom)",
    "virial": "virial (meV/atom)",
}
NAMES = ("teacher", "dnn", "dnn-kd")
WIDTH = 0.26


def panel(axes: Axes, sets: dict[str, dict[str, Any]], quantity: str) -> None:
    """One bar per set and model: mean of the seeds, each of them a dot.

    The axis ends above the students; a teacher's bar that is cut off has its number.
    """
    top = 1.15 * max(
        run[model]["test"][quantity] for runs in sets.values() for run in runs.values()
        for model in ("dnn", "dnn-kd") if model in run
    )  # fmt: skip
    axes.set_ylim(0, top)
    for place, runs in enumerate(sets.values()):
        for step, model in enumerate(NAMES):
            values = [run[model]["test"][quantity] for run in runs.values() if model in run]
            if not values:
                continue
            look, x = MODELS[model], place + (step - 1) * WIDTH
            axes.bar(x, np.mean(values), 0.9 * WIDTH, color=look.colour, zorder=2,
                     label=look.name if place == 0 else None)  # fmt: skip
            if np.mean(values) > top:
                axes.text(x, 1.01, f"{np.mean(values):.0f}", ha="center", va="bottom", fontsize=8,
                          transform=axes.get_xaxis_transform(), color=look.colour)  # fmt: skip
            axes.plot([x] * len(values), values, ".", color="#222222", ms=4, mew=0, zorder=3)
    axes.set_xticks(range(len(sets)), list(sets))
    axes.grid(axis="x", visible=False)
    axes.set_title(QUANTITIES[quantity], pad=14)


def draw(output: Path) -> None:
    """A panel per quantity, of the sets whose results are there."""
    found = {
        name: json.loads((RESULTS / file).read_text())["runs"]
        for file, name in SETS.items()
        if (RESULTS / file).is_file()
    }
    complete = {  # means of the same seeds for every model
        name: {seed: run for seed, run in runs.items() if set(NAMES) <= set(run)}
        for name, runs in found.items()
    }
    sets = {name: runs for name, runs in complete.items() if runs}
    with plt.rc_context(RC):
        figure, panels = plt.subplots(3, 1, figsize=(9, 8), layout="constrained", sharex=True)
        for axes, quantity in zip(panels, QUANTITIES, strict=True):
            panel(axes, sets, quantity)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        figure.savefig(output, dpi=110)
        plt.close(figure)


TRAINING_FRAMES = {"Si": 214, "Mo": 194, "Cu": 262}
"""Frames of the published training sets, those of `dnn-all`."""
OTHERS = ("_wide", "_short", "_brief")
"""Endings of results of other bases and of other numbers of steps."""

LINEAR = Look("linear, DFT only", "#CC79A7", "o")
LOOKS = {name: MODELS[name] for name in NAMES} | {"linear": LINEAR}


def by_frames(symbol: str) -> dict[str, dict[int, list[float]]]:
    """Test force RMSE of the seeds by model and number of DFT frames, medium networks."""
    found: dict[str, dict[int, list[float]]] = {name: {} for name in LOOKS}
    for path in sorted(RESULTS.glob(f"distillation_{symbol}*.json")):
        content = json.loads(path.read_text())
        student = content["settings"]["student"]
        linear = student["kind"] == "pod"
        if path.stem.endswith(OTHERS) or student.get("size", "medium") != "medium":
            continue
        for run in content["runs"].values():
            for name, numbers in run.items():
                model = "linear" if linear else name
                frames = content["budget"]
                if name == "dnn-all":
                    model, frames = ("linear" if linear else "dnn"), TRAINING_FRAMES[symbol]
                elif linear and name != "dnn":
                    continue
                if model in found:
                    found[model].setdefault(frames, []).append(numbers["test"]["force"])
    return found


def draw_frames(output: Path) -> None:
    """A panel per element: force error against the number of DFT frames."""
    with plt.rc_context(RC):
        figure, panels = plt.subplots(1, 3, figsize=(10.5, 3.6), layout="constrained")
        for axes, symbol in zip(panels, TRAINING_FRAMES, strict=True):
            ticks: set[int] = set()
            for name, points in by_frames(symbol).items():
                if not points:
                    continue
                look = LOOKS[name]
                frames = sorted(points)
                means = [np.mean(points[n]) for n in frames]
                style = "-" if name == "linear" else ""
                axes.plot(frames, means, look.marker + style, color=look.colour, label=look.name,
                          ms=6, zorder=3)  # fmt: skip
                ticks |= set(frames)
            axes.set_xscale("log")
            axes.set_xticks([n for n in (10, 20, 40, 80, 160) if n <= max(ticks)])
            axes.xaxis.set_major_formatter("{x:.0f}")
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_ylim(bottom=0)
            axes.set_title(symbol)
            axes.set_xlabel("DFT frames")
        panels[0].set_ylabel("test force RMSE (meV/Å)")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        figure.savefig(output, dpi=110)
        plt.close(figure)


if __name__ == "__main__":
    draw(HERE / "evidence.png")
    draw_frames(HERE / "frames.png")
