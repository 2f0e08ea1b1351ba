"""Structures that a page carries with it: which ones, and as few bytes as they need."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase.data import chemical_symbols, covalent_radii
from ase.data.colors import jmol_colors
from ase.geometry import wrap_positions

from ..errors import InputError
from ..frames import Frames
from ..landscape.grid import Box, evenly
from ..landscape.tables import find_source
from ..readers import read_at

MAX_ATOMS = 400_000
"""Atoms that a page carries at most (16 bytes of text each), however many structures."""

N_MESSAGES = 4
"""Files named one by one when structures cannot be read."""


def share_evenly(groups: Sequence[np.ndarray], xy: np.ndarray, box: Box, count: int) -> np.ndarray:
    """At most `count` rows, as equally from every group as their sizes allow.

    Parameters
    ----------
    groups : sequence of ndarray, int
        Rows of `xy` per group; within each, rows are taken evenly over the landscape.
    xy : ndarray, shape (n, 2)

    Returns
    -------
    ndarray, int
        Rows, sorted.
    """
    chosen, left = [np.zeros(0, dtype=np.int64)], count
    order = sorted(groups, key=len)
    for i, rows in enumerate(order):
        take = evenly(xy[rows], box, left // (len(order) - i)) if len(rows) else rows
        chosen.append(rows[take])
        left -= len(take)
    return np.sort(np.concatenate(chosen))


def embedded(
    points: pd.DataFrame, groups: Sequence[np.ndarray], box: Box, count: int, tables: list[Path]
) -> tuple[dict[int, dict[str, Any]], list[str]]:
    """Structures of some points, by row, and what the reader has to be told.

    Parameters
    ----------
    points : DataFrame
        With the columns sS, Q6, frame_id, set_index and, where structures can be found,
        source and source_index.
    groups : sequence of ndarray, int
        Rows that get equal shares of the structures.
    count : int
        Structures wanted.
    tables : list of path
        File of each set; a relative `source` is looked up from the current folder, and
        else from that of the table.
    """
    if count < 1:
        return {}, ["structures left out (--structures 0)"]
    if not {"source", "source_index"} <= set(points):
        return {}, ["no structures: the table does not say which files they came from"]
    xy = points[["sS", "Q6"]].to_numpy(dtype=float)
    known = points["source"].notna().to_numpy() & points["source_index"].notna().to_numpy()
    groups = [rows[known[rows]] for rows in groups]
    rows = share_evenly(groups, xy, box, count)
    n_atoms = points["n_atoms"].to_numpy()[rows].sum() if "n_atoms" in points else 0
    if n_atoms > MAX_ATOMS:
        rows = share_evenly(groups, xy, box, max(1, int(count * MAX_ATOMS / n_atoms)))
    found, problems = _read(points.iloc[rows], tables)
    notes = [f"{len(found):,} of {len(points):,} points carry their structure"]
    if found and len(rows) < len(points):
        notes[0] += ", evenly over the landscape"
    if n_atoms > MAX_ATOMS:
        notes[0] += f" (at most {MAX_ATOMS:,} atoms)"
    hidden = len(problems) - N_MESSAGES
    return found, [
        *notes,
        *problems[:N_MESSAGES],
        *([f"and {hidden} more files"] if hidden > 0 else []),
    ]


def _read(points: pd.DataFrame, tables: list[Path]) -> tuple[dict[int, dict[str, Any]], list[str]]:
    """Structures by row of the table; a sentence per file that cannot give them."""
    found: dict[int, dict[str, Any]] = {}
    problems = []
    for _, part in points.groupby(["source", "set_index"], sort=False):
        source, table = str(part["source"].iloc[0]), tables[int(part["set_index"].iloc[0])]
        indices = part["source_index"].to_numpy(dtype=np.int64)
        order = np.argsort(indices, kind="stable")  # a file is read from front to back
        part, indices = part.iloc[order], indices[order]
        try:
            frames = read_at(find_source(source, table), indices)
        except InputError as error:
            problems.append(f"{error} ({len(part):,} structures left out)")
            continue
        same = np.array(frames.frame_ids()) == part["frame_id"].astype(str).to_numpy()
        if not same.all():
            problems.append(
                f"{source}: changed since it was mapped ({(~same).sum():,} structures left out)"
            )
        rows = part.index.to_numpy(dtype=np.int64)
        for k in np.flatnonzero(same).tolist():
            found[int(rows[k])] = encode(frames, k)
    return dict(sorted(found.items())), problems


def encode(frames: Frames, index: int) -> dict[str, Any]:
    """One frame as JSON: atomic numbers and wrapped positions in base64, cell as numbers.

    ``numbers`` is uint8, ``positions`` little-endian float32, shape (n_atoms, 3), in Å;
    ``cell`` nine numbers in Å, rows are the vectors, or None without a volume.
    """
    where = frames.atoms_of(index)
    cell, pbc = frames.cells[index], frames.pbc[index]
    positions = frames.positions[where]
    solid = abs(np.linalg.det(cell)) > 1e-6
    if solid:
        positions = wrap_positions(positions, cell, pbc, eps=1e-4)
    return {
        "numbers": _base64(frames.numbers[where].astype(np.uint8)),
        "positions": _base64(positions.astype("<f4")),
        "cell": np.round(cell, 4).ravel().tolist() if solid else None,
    }


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def elements(structures: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Symbol, Jmol colour and covalent radius (Å) of every element in the structures."""
    numbers: set[int] = set()
    for structure in structures.values():
        numbers.update(base64.b64decode(structure["numbers"]))
    return {
        number: {
            "symbol": chemical_symbols[number],
            "colour": "#" + "".join(f"{round(255 * c):02x}" for c in jmol_colors[number]),
            "radius": round(float(covalent_radii[number]), 3),
        }
        for number in sorted(numbers)
    }
