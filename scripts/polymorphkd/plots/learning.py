"""Learning curves of teachers and students, of finished trainings and of running ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from .style import MODELS, plain_log

SMOOTHING = 25
"""Points of a student's curve, each one batch, that its line averages over."""

TEACHER = {
    "force_meV_per_A": "force RMSE (meV/Å)",
    "energy_meV_per_atom": "energy RMSE (meV/atom)",
}
"""Columns of a teacher's curve, with their labels."""

STUDENT = {
    "force_valid_eV_per_A": "students, validation batches",
    "force_train_eV_per_A": "students, training batches",
}
"""Columns of a student's curve, with their titles."""


def time_unit(curve: pd.DataFrame) -> str:
    """Column that counts the training of a teacher: ``epoch``, or ``step``."""
    return "epoch" if "epoch" in curve else "step"


def draw_teachers(axes: Axes, curves: Mapping[str, pd.DataFrame], column: str) -> None:
    """Validation error of every teacher per epoch or step; MACE's stage two and restarts are
    marked."""
    unit = "epoch"
    for i, (name, curve) in enumerate(curves.items()):
        unit = time_unit(curve)
        axes.plot(
            curve[unit], curve[column], color=MODELS["teacher"].colour,
            alpha=1 - 0.6 * i / max(len(curves), 1), label=name if len(curves) > 1 else None,
        )  # fmt: skip
        if i == 0:
            _mark(axes, curve[unit], curve.get("stage"), 2, "stage two")
        again = curve.get("restart")
        for number in range(1, 1 + int(0 if again is None else again.max())):
            _mark(axes, curve[unit], again, number, f"{name} restarts", i + number)
    if len(curves) > 1:
        axes.legend()
    axes.set(xlabel=unit, ylabel=TEACHER[column], yscale="log", title="teacher, validation set")
    plain_log(axes.yaxis)


def _mark(
    axes: Axes, time: pd.Series, column: pd.Series | None, value: int, text: str, line: int = 0
) -> None:
    """A dotted line where a column first has a value, with a text so many lines from the top."""
    if column is None or not (column == value).any():
        return
    place = time[column == value].min()
    axes.axvline(place, color="#8A9099", ls=":", lw=1.2)
    axes.text(place, 1 - 0.07 * line, f" {text}", transform=axes.get_xaxis_transform(), va="top",
              fontsize=8.5, color="#555B63")  # fmt: skip


def draw_students(axes: Axes, curves: Mapping[str, pd.DataFrame], column: str) -> None:
    """Force error of every student per step on batches: points, and their running mean."""
    lines: list[pd.Series] = []
    for variant, curve in curves.items():
        if column not in curve:
            continue
        look = MODELS[variant]
        # Batches of perfect crystals have no force and no error: the mean of squares,
        # not the median, is what the loss sees.
        squares = (1000 * curve[column].astype(float)) ** 2
        mean = squares.rolling(SMOOTHING, min_periods=1, center=True).mean() ** 0.5
        lines.append(mean)
        style: dict[str, Any] = {"color": look.colour, "ms": 3, "alpha": 0.35, "mew": 0}
        axes.plot(curve["step"], squares**0.5, ".", **style)
        axes.plot(curve["step"], mean, color=look.colour, label=look.name)
    axes.set(xlabel="step", ylabel="force RMSE of a batch (meV/Å)", yscale="log")
    axes.set_title(STUDENT[column])
    if lines:
        shown = pd.concat(lines).dropna()  # of batches without forces there is no error
        if len(shown):
            axes.set_ylim(0.4 * shown.min(), 1.5 * shown.max())
        axes.legend()
    plain_log(axes.yaxis)
