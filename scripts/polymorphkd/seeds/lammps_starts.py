"""What LAMMPS wrote in one folder or in several, where a run was killed and started again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..frames import Frames, concatenate
from ..lammps import THERMO_COLUMNS
from ..readers import stream
from .schedule import Plan

TRAJECTORY = "md.lammpstrj"

_COLUMNS = list(THERMO_COLUMNS.values())


def step(restart: Path) -> int:
    """Step at which a restart file was written."""
    return int(restart.name.rsplit(".", 1)[1])


def newest(folders: Sequence[Path], end: int) -> Path | None:
    """The latest whole restart file from before step `end`.

    One that a kill cut short is smaller than its siblings.
    """
    found = [path for folder in folders for path in folder.glob("restart.*") if _is_step(path)]
    found = [path for path in found if step(path) < end]
    largest = max((path.stat().st_size for path in found), default=0)
    whole = [path for path in found if path.stat().st_size >= 0.99 * largest]
    return max(whole, key=step, default=None)


def _is_step(path: Path) -> bool:
    return path.name.rsplit(".", 1)[1].isdigit()


def _first_steps(folders: Sequence[Path]) -> list[float]:
    """Step at which each start of the program began; infinity closes the list."""
    logs = [_rows(folder) for folder in folders]
    return [float(rows["step"].min()) if len(rows) else np.inf for rows in logs] + [np.inf]


def joined(folders: Sequence[Path], schedule: Plan) -> pd.DataFrame:
    """Lines of all starts; what a killed one did after the step of its successor is left out."""
    parts = [_rows(folder) for folder in folders]
    firsts = _first_steps(folders)
    kept = [rows[rows["step"] < min(firsts[k + 1 :])] for k, rows in enumerate(parts) if len(rows)]
    table = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=_COLUMNS)
    table = table.drop_duplicates("step", ignore_index=True)
    table["step"] = table["step"].astype(int)
    table.insert(1, "stage", schedule.stage_names(table["step"].to_numpy()))
    return table


def _rows(folder: Path) -> pd.DataFrame:
    """Whole lines of thermodynamic output in a log, also in that of a killed run."""
    log = folder / "log.lammps"
    rows = []
    inside = False
    for line in log.read_text(errors="replace").splitlines(True) if log.is_file() else []:
        words = line.split()
        if words[:1] == ["Step"]:
            inside = True
        elif inside and len(words) == len(_COLUMNS) and line.endswith("\n"):
            try:
                rows.append([float(word) for word in words])
            except ValueError:
                inside = False
        elif words[:2] == ["Loop", "time"]:
            inside = False
    return pd.DataFrame(rows, columns=_COLUMNS, dtype=float)


def frames(folders: Sequence[Path], table: pd.DataFrame) -> Frames:
    """Frames of all starts with their lines of the table."""
    firsts = _first_steps(folders)
    parts = []
    for k, folder in enumerate(folders):
        path = folder / TRAJECTORY
        if not path.is_file() or not path.stat().st_size:
            continue
        for chunk in stream(path):  # a frame that a kill cut short is among its broken ones
            steps = chunk.frames.meta["timestep"].to_numpy()
            first, last = firsts[k], min(firsts[k + 1 :])
            parts.append(chunk.frames.take(np.flatnonzero((steps >= first) & (steps < last))))
    frames = concatenate([part for part in parts if len(part)])
    return _with_rows(frames, table)


def _with_rows(frames: Frames, table: pd.DataFrame) -> Frames:
    rows = table.set_index("step").loc[frames.meta["timestep"]].reset_index()
    rows = rows.rename(columns={"timestep": "step"})
    kept = frames.without_labels()
    kept.meta = kept.meta.iloc[:, :0]
    return kept.with_meta(**{str(name): rows[name].to_numpy() for name in rows})
