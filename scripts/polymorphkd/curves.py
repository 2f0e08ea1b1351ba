"""Learning curves of a run as a figure, also while it trains: ``polymorphkd curves``."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from .errors import InputError
from .provenance import atomic_path, read_json
from .student.curve import student_curve
from .student.training import VARIANTS
from .teacher.curve import learning_curve


def read_curves(folder: Path) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Curves of teachers (``model 0``, ...) and students (``dnn``, ...) with a point at least.

    Parameters
    ----------
    folder : Path
        results/<Material>.  A finished training is read from its metrics, a running one from
        what it has written so far.
    """
    teachers = {}
    for k in sorted(_numbers(folder / "teacher")):
        metrics = folder / "teacher" / f"metrics_{k}.json"
        if metrics.is_file():
            curve = read_json(metrics)["learning_curve"]
        else:
            curve = learning_curve(folder / "teacher" / f"work_{k}")
        teachers[f"model {k}"] = pd.DataFrame(curve)
    students = {}
    for variant in VARIANTS:
        metrics = folder / "student" / variant / "metrics.json"
        if metrics.is_file():
            values = read_json(metrics).get("learning_curve", {})  # a linear one has none
        else:
            values = student_curve(folder / "student" / variant / "work")
        students[variant] = pd.DataFrame(values)
    return (
        {name: curve for name, curve in teachers.items() if len(curve)},
        {name: curve for name, curve in students.items() if len(curve)},
    )


def _numbers(folder: Path) -> set[int]:
    names = [path.stem for path in (*folder.glob("metrics_*.json"), *folder.glob("work_*"))]
    return {int(name.split("_")[1]) for name in names if name.split("_")[1].isdigit()}


def draw_curves(folder: Path, output: Path) -> list[str]:
    """Draw what there is and say in a line each where the trainings are.

    Raises
    ------
    InputError
        No training has begun, or the suffix of `output` is none of .png, .svg, .pdf.
    """
    if output.suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"{output}: a figure is .png, .svg or .pdf")
    teachers, students = read_curves(folder)
    if not teachers and not students:
        raise InputError(f"{folder}: no training has written a learning curve there yet")
    from .plots.learning import STUDENT, TEACHER, draw_students, draw_teachers, time_unit
    from .plots.style import PANEL, figure

    panels = 2 * bool(teachers) + 2 * bool(students)
    with figure((PANEL[0] * panels, PANEL[1])) as (fig, only):
        only.remove()
        rest = list(fig.subplots(1, panels, squeeze=False)[0])
        if teachers:
            for column in TEACHER:
                draw_teachers(rest.pop(0), teachers, column)
        if students:
            for column in STUDENT:
                draw_students(rest.pop(0), students, column)
        with atomic_path(output) as path:
            fig.savefig(path, format=output.suffix[1:])
    lines = []
    for name, curve in teachers.items():
        last = curve.iloc[-1]
        unit = time_unit(curve)
        lines.append(
            f"{name}: {unit} {int(last[unit])}, validation force {last['force_meV_per_A']:.0f} "
            f"meV/Å, energy {last['energy_meV_per_atom']:.1f} meV/atom"
        )
    for name, curve in students.items():
        last = curve.iloc[-1]
        lines.append(
            f"{name}: step {int(last['step'])}, force of the last validation batch "
            f"{1000 * last['force_valid_eV_per_A']:.0f} meV/Å"
        )
    return lines
