"""Figures of the models themselves: learning curves, equation of state, energy conservation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..plots.style import MODELS, PANEL, as_uri, figure, plain_log
from .blocks import Image
from .collect import Run

SMOOTHING = 25
"""Points of a student's curve, each one batch, that its line averages over."""


def teacher_curves(run: Run) -> list[Image]:
    """Validation errors of every teacher per epoch: force, and energy."""
    panels = {
        "force_meV_per_A": "force RMSE (meV/Å)",
        "energy_meV_per_atom": "energy RMSE (meV/atom)",
    }
    images = []
    for column, label in panels.items():
        with figure() as (fig, axes):
            for i, (name, metrics) in enumerate(run.teachers.items()):
                curve = pd.DataFrame(metrics["learning_curve"])
                shade = 1 - 0.6 * i / max(len(run.teachers), 1)
                axes.plot(
                    curve["epoch"], curve[column], color=MODELS["teacher"].colour, alpha=shade,
                    label=name if len(run.teachers) > 1 else None,
                )  # fmt: skip
                second = curve.loc[curve["stage"] == 2, "epoch"]
                if i == 0 and len(second):
                    axes.axvline(second.min(), color="#8A9099", ls=":", lw=1.2)
                    axes.text(second.min(), 1, " stage two", transform=axes.get_xaxis_transform(),
                              va="top", fontsize=8.5, color="#555B63")  # fmt: skip
            if len(run.teachers) > 1:
                axes.legend()
            axes.set(xlabel="epoch", ylabel=label, yscale="log", title="teacher, validation set")
            plain_log(axes.yaxis)
            images.append(Image(as_uri(fig), f"Learning curve of the teacher: {label}"))
    return images


def student_curves(run: Run) -> list[Image]:
    """Force errors of both students per step, on training and validation batches."""
    panels = {
        "force_valid_eV_per_A": "students, validation batches",
        "force_train_eV_per_A": "students, training batches",
    }
    images = []
    for column, title in panels.items():
        lines: list[pd.Series] = []
        with figure() as (fig, axes):
            for variant, metrics in run.students.items():
                curve = pd.DataFrame(metrics["learning_curve"])
                if column not in curve:
                    continue
                look = MODELS[variant]
                # Batches of perfect crystals have no force and no error: the mean of squares,
                # not the median, is what the loss sees.
                squares = (1000 * curve[column]) ** 2
                mean = squares.rolling(SMOOTHING, min_periods=1, center=True).mean() ** 0.5
                lines.append(mean)
                style: dict[str, Any] = {"color": look.colour, "ms": 3, "alpha": 0.35, "mew": 0}
                axes.plot(curve["step"], squares**0.5, ".", **style)
                axes.plot(curve["step"], mean, color=look.colour, label=look.name)
            axes.set(xlabel="step", ylabel="force RMSE of a batch (meV/Å)", yscale="log")
            axes.set_title(title)
            if lines:
                shown = pd.concat(lines)
                axes.set_ylim(0.4 * shown.min(), 1.5 * shown.max())
            plain_log(axes.yaxis)
            axes.legend()
            images.append(Image(as_uri(fig), f"Learning curves of the {title}"))
    return images


def eos_figures(run: Run) -> list[Image]:
    """Energy against volume of every model and of DFT, and the models' differences from DFT.

    Only for a run with at least one of ``run.curves``.
    """
    structure = next(iter(run.curves.values()))["structure"]
    with figure() as (fig, axes):
        for name, look in MODELS.items():
            if name in run.curves:
                numbers = run.curves[name]
                energies = 1000 * (
                    np.array(numbers["energies_eV_per_atom"]) - numbers["E0_eV_per_atom"]
                )
                # DFT as points on top, so that a line that covers it stays visible.
                style = {"ls": "none", "ms": 6, "zorder": 3} if name == "dft" else {"ms": 3}
                axes.plot(
                    numbers["volumes_A3_per_atom"], energies, marker=look.marker,
                    color=look.colour, label=look.name, **style,
                )  # fmt: skip
        axes.set(xlabel="volume (Å³ per atom)", ylabel="E - E0 (meV per atom)", title=structure)
        axes.legend()
        images = [Image(as_uri(fig), f"Equation of state of {structure}")]
    differences = _differences(run)
    if differences:
        with figure() as (fig, axes):
            axes.axhline(0, color=MODELS["dft"].colour, lw=1)
            for name, (volumes, values) in differences.items():
                look = MODELS[name]
                axes.plot(volumes, values, marker=look.marker, color=look.colour, ms=4, label=name)
            axes.set(xlabel="volume (Å³ per atom)", ylabel="E(model) - E(DFT) (meV per atom)")
            axes.set_title(f"{structure}, absolute energies")
            axes.legend()
            text = f"Energies of the models minus DFT's for {structure}"
            images.append(Image(as_uri(fig), text))
    return images


def _differences(run: Run) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Volumes and energy of each model minus DFT's (meV/atom), where the volumes agree."""
    if "dft" not in run.curves:
        return {}
    keys = ("volumes_A3_per_atom", "energies_eV_per_atom")
    volumes, reference = (np.array(run.curves["dft"][key]) for key in keys)
    found = {}
    for name, numbers in run.curves.items():
        own, energies = (np.array(numbers[key]) for key in keys)
        if name != "dft" and own.shape == volumes.shape and np.allclose(own, volumes):
            found[name] = (volumes, 1000 * (energies - reference))
    return found


def nve_figures(run: Run) -> list[Image]:
    """Total energy and temperature of the constant-energy run in LAMMPS."""
    assert run.nve is not None
    assert run.nve_curve is not None
    curve = run.nve_curve
    colour = MODELS["dnn-kd"].colour
    energy = 1000 * (curve["total_eV"] - curve["total_eV"].iloc[0]) / run.nve["n_atoms"]
    time = curve["time_ps"]
    with figure(PANEL) as (fig, axes):
        axes.plot(time, energy, color=colour, lw=1)
        if len(time) > 1 and np.isfinite(energy).all():
            axes.plot(time, np.polyval(np.polyfit(time, energy, 1), time), "--", color="#222222",
                      lw=1.2, label="straight line through it")  # fmt: skip
            axes.legend()
        axes.set(xlabel="time (ps)", ylabel="E(t) - E(0) (meV per atom)", title="total energy")
        images = [Image(as_uri(fig), "Total energy against time in the constant-energy run")]
    with figure(PANEL) as (fig, axes):
        axes.plot(time, curve["temperature_K"], color=colour, lw=1)
        axes.set(xlabel="time (ps)", ylabel="temperature (K)", title="temperature", ylim=(0, None))
        images.append(Image(as_uri(fig), "Temperature against time in the constant-energy run"))
    return images
