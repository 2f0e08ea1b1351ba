"""What every reader yields: chunks of sound frames, and a word on each broken one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ..frames import Frames

FLAT = 1e-6
"""Periodic cell vectors whose normalised volume is below this span no cell."""


SHORTEST = 1e-3
"""Cell vectors below this length (Å) are none."""


@dataclass(frozen=True)
class Broken:
    """A frame that cannot be used: its file, its index in the file from 0, and why."""

    path: str
    index: int
    reason: str


@dataclass(frozen=True)
class Chunk:
    """Some successive frames of one file.

    Parameters
    ----------
    path : str
    frames : Frames
        The sound frames; there may be none.
    index : ndarray, shape (n_frames,), int64
        Position of each frame in its file, broken frames counted.
    broken : list of Broken
        The broken frames met on the way, in order.
    """

    path: str
    frames: Frames
    index: np.ndarray
    broken: list[Broken] = field(default_factory=list)


@dataclass(frozen=True)
class Wanted:
    """Which frames of a file to read: all from `start`, or `only` some."""

    start: int = 0
    only: frozenset[int] | None = None

    def __contains__(self, index: int) -> bool:
        return index >= self.start if self.only is None else index in self.only

    def over(self, index: int) -> bool:
        """Whether no frame at `index` or later is wanted."""
        return self.only is not None and index > self._last

    @cached_property
    def _last(self) -> int:
        return max(self.only or (), default=-1)

    @cached_property
    def _sorted(self) -> np.ndarray:
        return np.array(sorted(self.only or ()), dtype=np.int64)

    def mask(self, index: np.ndarray) -> np.ndarray:
        """Whether each of `index` is wanted, bool."""
        return index >= self.start if self.only is None else np.isin(index, self._sorted)


@dataclass(frozen=True)
class Request:
    """One reading of one file, as the readers of the formats take it.

    Parameters
    ----------
    path : Path
    wanted : Wanted
    atoms_per_chunk : int
        A chunk is full with so many atoms; a larger frame is a chunk of its own.
    labels_from_calculator : bool
        Also take labels that are not under ``REF_`` keys, from frames without `REF_energy`.
    """

    path: Path
    wanted: Wanted
    atoms_per_chunk: int
    labels_from_calculator: bool

    def broken(self, index: int, reason: str) -> Broken:
        """A broken frame of this file."""
        return Broken(str(self.path), index, reason)


Reader = Callable[[Request], Iterator[Chunk]]


def screened(
    request: Request, frames: Frames, index: np.ndarray, broken: list[Broken] | None = None
) -> Chunk:
    """Chunk of those frames that can be used; the others join `broken`.

    Refused are frames without atoms, with a position or cell that is not finite, with an
    atomic number outside 0 to 118 (0 is ASE's dummy atom X), or with periodic directions
    whose cell vectors span nothing.
    """
    reasons: dict[int, str] = {}
    for i in np.flatnonzero(flat_cells(frames.cells, frames.pbc)).tolist():
        reasons[i] = "the cell is singular along its periodic directions"
    lengths = np.linalg.norm(frames.cells, axis=2)
    for i in np.flatnonzero((frames.pbc & (lengths < SHORTEST)).any(axis=1)).tolist():
        reasons[i] = "periodic, but a cell vector is missing"
    sizes = frames.n_atoms
    owner = None
    checks = (
        (~np.isfinite(frames.positions).all(axis=1), "a position that is not a finite number"),
        ((frames.numbers < 0) | (frames.numbers > 118), "an unknown element"),
    )
    for wrong, text in checks:
        if not wrong.any():
            continue
        owner = np.repeat(np.arange(len(frames)), sizes) if owner is None else owner
        for atom in np.flatnonzero(wrong)[::-1].tolist():  # the first atom of a frame is named
            reasons[int(owner[atom])] = f"atom {atom - frames.offsets[owner[atom]]} has {text}"
    for i in np.flatnonzero(~np.isfinite(frames.cells).all(axis=(1, 2))).tolist():
        reasons[i] = "the cell is not made of finite numbers"
    for i in np.flatnonzero(sizes == 0).tolist():
        reasons[i] = "holds no atoms"
    index = np.asarray(index, dtype=np.int64)
    found = list(broken or [])
    if reasons:
        found += [request.broken(int(index[i]), reason) for i, reason in reasons.items()]
        sound = np.setdiff1d(np.arange(len(frames)), [*reasons])
        frames, index = frames.take(sound), index[sound]
    return Chunk(str(request.path), frames, index, sorted(found, key=lambda one: one.index))


def flat_cells(cells: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Whether the periodic cell vectors of a frame lie in a plane or on a line, or are zero.

    Parameters
    ----------
    cells : ndarray, shape (n_frames, 3, 3), Å
    pbc : ndarray, shape (n_frames, 3), bool

    Returns
    -------
    ndarray, shape (n_frames,), bool
    """
    lengths = np.linalg.norm(cells, axis=2, keepdims=True)
    units = np.zeros_like(cells)
    np.divide(cells, lengths, out=units, where=pbc[:, :, None] & (lengths > 0))
    gram = units @ units.transpose(0, 2, 1)
    gram[:, np.arange(3), np.arange(3)] += ~pbc  # open directions do not count
    # The determinant of the Gram matrix is the squared volume that the unit vectors span.
    return ~(np.linalg.det(np.nan_to_num(gram)) > FLAT**2)


def reason_of(error: BaseException) -> str:
    """One line that says what an exception means to a reader of the file."""
    text = " ".join(str(error).split())
    if isinstance(error, KeyError):
        return f"unknown name {text}"
    return text or type(error).__name__
