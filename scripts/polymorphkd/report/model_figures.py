"""Figures of the models themselves: learning curves, equation of state, energy conservation."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..plots.learning import STUDENT, TEACHER, draw_students, draw_teachers
from ..plots.style import MODELS, PANEL, as_uri, figure
from .blocks import Image
from .collect import Run


def teacher_curves(run: Run) -> list[Image]:
    """Validation errors of every teacher per epoch: force, and energy."""
    curves = {name: pd.DataFrame(m["learning_curve"]) for name, m in run.teachers.items()}
    images = []
    for column, label in TEACHER.items():
        with figure() as (fig, axes):
            draw_teachers(axes, curves, column)
            images.append(Image(as_uri(fig), f"Learning curve of the teacher: {label}"))
    return images


def student_curves(run: Run) -> list[Image]:
    """Force errors of both students per step, on batches; none if they were fitted at once."""
    curves = {
        name: pd.DataFrame(m["learning_curve"])
        for name, m in run.students.items()
        if "learning_curve" in m
    }
    if not curves:
        return []
    images = []
    for column, title in STUDENT.items():
        with figure() as (fig, axes):
            draw_students(axes, curves, column)
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
