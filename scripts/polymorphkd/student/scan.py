"""Error against cost: students of different networks on the same labels."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ..deploy import Example, write_example
from ..deploy.lammps import measure_cost
from ..evaluate.compare import compare
from ..evaluate.gather import UNITS, signed_errors
from ..frames import Frames
from ..plots.style import PALETTE, RC, plain_log
from ..predict import Predictor
from ..settings import Deploy
from .potential import copy_potential

SIZE = (9.2, 3.4)
QUANTITIES = {
    "energy": "energy (meV/atom)",
    "force": "force (meV/Å)",
    "virial": "virial (meV/atom)",
}


def rmse(model: Predictor, valid: Frames) -> dict[str, float]:
    """RMSE of validation frames by the keys of ``errors.json``: meV/atom, meV/Å, meV/atom.

    There is no virial where no frame has a stress.
    """
    errors = signed_errors(*compare(valid, model.predict(valid.without_labels())))
    return {
        UNITS[name]: float(np.sqrt(np.mean(values**2)))
        for name, values in errors.items()
        if len(values)
    }


def cost(potential: Path, template: Path, example: Example, settings: Deploy) -> dict[str, Any]:
    """Cost of a step in LAMMPS with one thread; see :func:`..deploy.lammps.measure_cost`.

    Parameters
    ----------
    potential : Path
        ``potential.lmp`` of the student.
    template : Path
        Of ``in.lammps``.
    example : Example
        The crystal.
    settings : Deploy
        ``timing_atoms`` and what the example needs.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_potential(potential, folder)
        write_example(folder, template, example, settings)
        return measure_cost(folder, folder / "timing", settings.timing_atoms, 1)


def table(results: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row per student, the fastest first: name, cost, validation RMSE, network."""
    rows = [{"student": name, **result} for name, result in results.items()]
    return pd.DataFrame(rows).sort_values("us_per_atom_step", ignore_index=True)


def draw(rows: pd.DataFrame) -> Figure:
    """Validation RMSE of each quantity against microseconds per atom and step.

    Parameters
    ----------
    rows : DataFrame
        Of :func:`table`.

    Returns
    -------
    Figure
        To be saved and closed by the caller.
    """
    shown = {name: label for name, label in QUANTITIES.items() if UNITS[name] in rows}
    with plt.rc_context(RC):
        figure, panels = plt.subplots(1, len(shown), figsize=SIZE, layout="constrained")
        for axes, (name, label) in zip(panels, shown.items(), strict=True):
            values = rows[UNITS[name]]
            axes.plot(rows["us_per_atom_step"], values, color="#A7ADB5", lw=1, zorder=1)
            for index, row in rows.iterrows():
                look = PALETTE[int(str(index)) % len(PALETTE)]
                axes.plot(
                    row["us_per_atom_step"], row[UNITS[name]],
                    look.marker, color=look.colour, ms=7, label=row["student"],
                )  # fmt: skip
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(NullLocator())
            plain_log(axes.xaxis)
            axes.set_ylim(0, 1.12 * values.max())
            axes.set_title(label)
            axes.set_xlabel("µs per atom and step")
        panels[0].set_ylabel("validation RMSE")
        panels[-1].legend(loc="lower left")
        return figure
