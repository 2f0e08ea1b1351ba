"""The learning curve that a teacher writes while it trains; read without loading torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..deepmd.curve import table

_VALIDATION = {
    "E_RMSE(meV/atom)": "energy_meV_per_atom",
    "F_RMSE(meV/Å)": "force_meV_per_A",
    "S_RMSE(meV/Å³)": "stress_meV_per_A3",
}
"""Columns of DeePMD's ``val.log``."""


def learning_curve(
    work: Path, stage_two: int = 0, restarts: int | None = None
) -> list[dict[str, Any]]:
    """Validation errors so far, of whatever family trains in `work`.

    After a resumed training an epoch or step can occur twice; the later entry counts.

    Parameters
    ----------
    work : Path
        Folder of the training.
    stage_two : int
        First epoch of MACE's stage two, 0 for none.
    restarts : int, optional
        How many restarts of MACE count; all that have begun unless given.

    Returns
    -------
    list of dict
        ``epoch``, ``stage``, ``restart`` and ``loss`` (mace; the epochs of a restart follow on
        those before) or ``step`` (other families), and the errors of
        the validation set: ``energy_meV_per_atom``, ``force_meV_per_A``, ``stress_meV_per_A3``.
    """
    return _mace_curves(work, stage_two, restarts) or deepmd_curve(work)


def restart_folder(work: Path, number: int) -> Path:
    """Where a training of MACE goes on from its own weights for the n-th time, from 1."""
    return work / f"restart_{number}"


def deepmd_curve(work: Path) -> list[dict[str, Any]]:
    """Validation errors per step from DeePMD's own file."""
    names, rows = table(work / "val.log")
    return [
        {"step": int(row[0])}
        | {title: row[names.index(name)] for name, title in _VALIDATION.items() if name in names}
        for row in rows
    ]


def _mace_curves(work: Path, stage_two: int, restarts: int | None) -> list[dict[str, Any]]:
    """Validation errors per epoch of a training and its restarts."""
    curve: list[dict[str, Any]] = []
    number, folder = 0, work
    while (restarts is None or number <= restarts) and (part := _mace_curve(folder, stage_two)):
        begun = curve[-1]["epoch"] + 1 if curve else 0
        curve += [{**point, "epoch": begun + point["epoch"], "restart": number} for point in part]
        number += 1
        folder = restart_folder(work, number)
    return curve


def _mace_curve(work: Path, stage_two: int) -> list[dict[str, Any]]:
    """Validation errors per epoch from MACE's own results file."""
    curve: dict[int, dict[str, Any]] = {}
    for path in sorted((work / "results").glob("*_train.txt")):
        for line in path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:  # the line that is being written
                continue
            if entry.get("mode") != "eval" or entry.get("epoch") is None:
                continue
            epoch, stress = int(entry["epoch"]), entry.get("rmse_stress")
            curve[epoch] = {
                "epoch": epoch,
                "stage": 2 if stage_two and epoch >= stage_two else 1,
                "loss": entry["loss"],
                "energy_meV_per_atom": 1e3 * entry["rmse_e_per_atom"],
                "force_meV_per_A": 1e3 * entry["rmse_f"],
                # Absent where no validation frame has a stress.
                "stress_meV_per_A3": 1e3 * stress if isinstance(stress, float) else None,
            }
    return [curve[epoch] for epoch in sorted(curve)]
