"""Tables of landscape points, as files that a user hands over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError
from .grid import coordinates

NEEDED = ("frame_id", "sS", "Q6", "settings_digest")

TEXT = ("frame_id", "settings_digest", "note", "formula", "source")
"""Columns that stay text; a digest such as 12e456789012 would else be read as a number."""


@dataclass(frozen=True)
class PointSet:
    """Points of one file that lie on the landscape.

    Parameters
    ----------
    name : str
        What the set is called in legends and tables.
    path : path
    points : DataFrame
        Rows with both coordinates; the index counts from 0.
    n_missing : int
        Rows of the file without sS (not fully periodic, overlapping atoms), left out.
    """

    name: str
    path: Path
    points: pd.DataFrame
    n_missing: int

    @property
    def xy(self) -> np.ndarray:
        """(sS in kB per atom, Q6), shape (n, 2), float64."""
        return self.points[["sS", "Q6"]].to_numpy(dtype=float)


def read_points(path: str | Path) -> pd.DataFrame:
    """Table of landscape points, one row per frame, from Parquet or CSV.

    Raises
    ------
    InputError
        The file is absent, is no such table, or lacks a column.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix not in (".parquet", ".csv"):
        raise InputError(
            f"{path}: a table of points is .parquet or .csv; make one from structures with "
            "`polymorphkd map`"
        )
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, dtype=dict.fromkeys(TEXT, str))
    except (ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path}: cannot be read as a table ({reason})") from error
    absent = [name for name in NEEDED if name not in table]
    if absent:
        raise InputError(
            f"{path}: no column {', '.join(absent)}; expected a table of landscape points "
            "(`polymorphkd map` makes one)"
        )
    for name in ("sS", "Q6"):
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise InputError(f"{path}: column {name} holds text; expected numbers")
    return table


def find_source(source: str | Path, table: Path) -> Path:
    """Structure file that a table names: from the current folder, else from the table's."""
    beside = table.parent / source
    return beside if not Path(source).exists() and beside.exists() else Path(source)


def read_sets(paths: Sequence[Path], labels: Sequence[str] | None = None) -> list[PointSet]:
    """Sets of points that may be compared, without the points that have no sS.

    Parameters
    ----------
    paths : sequence of path
    labels : sequence of str, optional
        Names of the sets; else the files' names, with the folder where two are equal.

    Raises
    ------
    InputError
        A file cannot be used, or holds no point with sS; labels do not fit the files.
    StageError
        The points were made with different settings.
    """
    names = list(labels) if labels else _names(paths)
    if len(names) != len(paths):
        raise InputError(f"--labels: {len(names)} given for {len(paths)} files")
    if len(set(names)) < len(names):
        raise InputError("--labels: two sets have the same name; give each its own")
    sets = []
    for name, path in zip(names, paths, strict=True):
        table = read_points(path)
        there = np.isfinite(table[["sS", "Q6"]].to_numpy(dtype=float)).all(axis=1)
        if not there.any():
            raise InputError(f"{path}: none of its {len(table)} points has sS")
        kept = table[there].reset_index(drop=True)
        sets.append(PointSet(name, Path(path), kept, int((~there).sum())))
    coordinates(pd.concat([s.points[list(NEEDED)] for s in sets], ignore_index=True))
    return sets


def _names(paths: Sequence[Path]) -> list[str]:
    """File names without suffix; equal ones get their folder, and a number if need be."""
    stems = [Path(path).stem for path in paths]
    names = [
        stem if stems.count(stem) == 1 else f"{Path(path).resolve().parent.name}/{stem}"
        for stem, path in zip(stems, paths, strict=True)
    ]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: i + 1].count(name)})"
        for i, name in enumerate(names)
    ]
