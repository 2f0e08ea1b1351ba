"""Figures of the studies on aluminium: error against number, and what a hole in the data costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D
from polymorphkd.frames import Frames
from polymorphkd.plots.style import OTHER, PALETTE, PANEL, RC, figure, landscape_labels, plain_log
from polymorphkd.provenance import atomic_path

DPI = 130
SEEN = {"generated": "generated frames", "md": "frames of MD"}


@dataclass(frozen=True)
class Covered:
    """A training set and what its models do on the test frames.

    Attributes
    ----------
    name : str
    training : list of Frames
        One per seed, with `sS` and `Q6`.
    errors : numpy.ndarray, shape (n_seeds, n_test), meV/Å
        Force RMSE of every test frame.
    """

    name: str
    training: list[Frames]
    errors: np.ndarray


def scaling_figure(runs: Mapping[str, Mapping[str, Any]], output: Path) -> None:
    """Force RMSE against the number of training frames, one point per seed, lines of means."""
    counts = sorted(map(int, runs))
    first = next(iter(runs[str(counts[0])].values()))["errors"]
    with figure() as (fig, axes):
        for test, look in zip(first, PALETTE, strict=False):
            values = [
                [one["errors"][test]["force"] for one in runs[str(n)].values()] for n in counts
            ]
            for count, seeds in zip(counts, values, strict=True):
                axes.plot(
                    [count] * len(seeds), seeds, look.marker, color=look.colour, ms=4, alpha=0.5,
                    mew=0,
                )  # fmt: skip
            axes.plot(
                counts, [np.mean(seeds) for seeds in values], look.marker + "-",
                color=look.colour, ms=5, label=f"tested on {SEEN.get(test, test)}",
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("training frames")
        axes.set_ylabel("force RMSE (meV/Å)")
        axes.set_xlim(min(counts) / 1.2, max(counts) * 1.2)
        plain_log(axes.yaxis)
        axes.set_xticks(counts, [str(n) for n in counts], minor=False)
        axes.minorticks_off()
        axes.legend()
        with atomic_path(output) as path:
            fig.savefig(path, dpi=DPI)


def coverage_figure(
    sets: Sequence[Covered], tests: Frames, in_hole: np.ndarray, output: Path
) -> None:
    """Force RMSE of every test frame over the landscape, mean of the seeds; a panel per set.

    Parameters
    ----------
    sets : sequence of Covered
    tests : Frames
        With `sS` and `Q6`, in the order of the errors.
    in_hole : numpy.ndarray of bool, shape (n_test,)
    output : path
    """
    means = [np.sqrt((one.errors**2).mean(axis=0)) for one in sets]
    high = max(values.max() for values in means)
    low = max(min(values.min() for values in means), high / 100)
    width, height = PANEL
    with plt.rc_context(RC):
        fig, panels = plt.subplots(
            1, len(sets), figsize=(width * len(sets) + 0.6, height + 0.5), sharex=True,
            sharey=True, layout="constrained", squeeze=False,
        )  # fmt: skip
        shown = None
        for axes, one, values in zip(panels[0], sets, means, strict=True):
            for frames in one.training:
                axes.plot(
                    frames.meta["sS"], frames.meta["Q6"], ".", ms=3.5, color=OTHER.colour, mew=0,
                    zorder=1,
                )  # fmt: skip
            for part, marker in ((in_hole, "D"), (~in_hole, "o")):
                shown = axes.scatter(
                    tests.meta["sS"][part], tests.meta["Q6"][part], c=values[part], s=34,
                    marker=marker, cmap="viridis_r", norm=LogNorm(low, high),
                    edgecolors="#222222", linewidths=0.4, zorder=2,
                )  # fmt: skip
            axes.set_title(one.name)
            landscape_labels(axes, short=True)
            axes.label_outer()
        assert shown is not None
        bar = fig.colorbar(shown, ax=panels[0].tolist(), pad=0.02)
        bar.set_label("force RMSE of the frame (meV/Å)")
        plain_log(bar.ax.yaxis)
        handles = [
            Line2D([], [], ls="", marker=marker, color=colour, mec="#222222", mew=edge, ms=size,
                   label=label)
            for marker, colour, edge, size, label in (
                (".", OTHER.colour, 0, 6, "training frame"),
                ("o", "white", 0.8, 6, "test frame"),
                ("D", "white", 0.8, 6, "test frame in the hole"),
            )
        ]  # fmt: skip
        fig.legend(handles=handles, loc="outside lower center", ncols=3)
        with atomic_path(output) as path:
            fig.savefig(path, dpi=DPI)
        plt.close(fig)
