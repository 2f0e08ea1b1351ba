"""What readers of text share: a window on the bytes, the rows gathered so far, the loop."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from ase.data import atomic_numbers

from ..frames import Frames
from .chunks import Broken, Chunk, Request, screened
from .kernels import INTEGER, NUMBER, SYMBOL, header_like, parse_rows, skip_lines
from .sources import open_bytes

BLOCK = 1 << 22
"""Bytes read at once."""

POSITION, FORCE, ID, MASS, N_SLOTS = 0, 3, 6, 7, 8
"""Columns of :attr:`Gathered.values`."""

MAX_BROKEN = 10_000
"""Broken frames after which a chunk is handed over, full or not."""


class NeedMore(Exception):
    """The window ends before what is to be read; what lies before `keep` is done with."""

    def __init__(self, keep: int | None = None) -> None:
        super().__init__()
        self.keep = keep


class EndOfFile(Exception):
    """The file ends before what is to be read."""


class Bad(Exception):
    """The frame is broken; `resume` is where the search for the next one starts."""

    def __init__(self, reason: str, resume: int) -> None:
        super().__init__(reason)
        self.resume = resume


class Window:
    """The part of a file that is in memory.

    `data` holds the bytes, `view` those up to the last newline as an array for the kernels.
    """

    def __init__(self, path: Path) -> None:
        self.stream = open_bytes(path)
        self.data = b""
        self.view = np.zeros(0, dtype=np.uint8)
        self.ended = False
        self.failure = ""

    def more(self, keep: int) -> None:
        """Drop what lies before `keep` and read on; at least doubles what is kept."""
        rest = self.data[keep:]
        try:
            block = self.stream.read(max(BLOCK, len(rest)))
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            block = b""
            self.failure = f"the compressed file is damaged here: {error}"
        if not block:
            self.ended = True
            if rest and not rest.endswith(b"\n"):
                block = b"\n"  # the kernels rely on it
        self.data = rest + block
        n_whole = self.data.rfind(b"\n") + 1
        self.view = np.frombuffer(self.data, dtype=np.uint8, count=n_whole)

    def line_end(self, start: int) -> int:
        """Position of the newline that ends the line at `start`."""
        end = self.data.find(b"\n", start)
        if end < 0:
            raise EndOfFile if self.ended else NeedMore
        return end

    def headed(self, start: int) -> bool:
        """Whether the line at `start` is a header, empty, or the end of the file."""
        try:
            end = self.line_end(start)
        except EndOfFile:
            return True
        return header_like(self.view, start) or not self.data[start:end].strip()


class Gathered:
    """Rows and frames on their way into a chunk."""

    def __init__(self) -> None:
        self.numbers = np.zeros(0, dtype=np.int64)
        self.values = np.zeros((0, N_SLOTS))
        self.odd = np.zeros((1 << 12, 4), dtype=np.int64)
        self.clear()

    def clear(self) -> None:
        """Forget the frames; the arrays stay."""
        self.offsets = [0]
        self.index: list[int] = []
        self.cells: list[np.ndarray] = []
        self.pbc: list[np.ndarray] = []
        self.energy: list[float] = []
        self.stress: list[np.ndarray | None] = []
        self.forced: list[bool] = []
        self.meta: list[dict[str, Any]] = []

    @property
    def n_atoms(self) -> int:
        """Atoms gathered so far, which is where the rows of the next frame go."""
        return self.offsets[-1]

    def reserve(self, n_rows: int) -> None:
        """Make room for more rows."""
        needed = self.n_atoms + n_rows
        if needed > len(self.numbers):
            size = max(needed, 2 * len(self.numbers), 1 << 12)
            self.numbers = np.resize(self.numbers, size)
            values = np.zeros((size, N_SLOTS))
            values[: self.n_atoms] = self.values[: self.n_atoms]
            self.values = values

    def rows(
        self, window: Window, start: int, n_rows: int, kinds: np.ndarray, slots: np.ndarray
    ) -> int:
        """Read the rows of the next frame; return the position after them.

        Raises
        ------
        Bad
            A row has too few columns or a token that does not fit its column, or the file
            ends; `resume` is `start`.
        NeedMore
            The window ends.
        """
        # An absurd number of atoms must not ask for memory: a column takes two bytes at least.
        self.reserve(min(n_rows, (len(window.view) - start) // (2 * len(kinds)) + 1))
        while True:
            n_read, position, n_odd = parse_rows(
                window.view, start, n_rows, kinds, slots,
                self.n_atoms, self.numbers, self.values, self.odd,
            )  # fmt: skip
            if position != -2:
                break
            self.odd = np.zeros((4 * len(self.odd), 4), dtype=np.int64)
        short = n_read < n_rows and position >= 0
        for row, column, first, last in self.odd[:n_odd].tolist():
            if short and row == n_read:
                break  # that line is no atom at all
            token = window.data[first:last]
            try:
                self._convert(row, int(kinds[column]), int(slots[column]), token)
            except (ValueError, OverflowError, KeyError):
                what = {SYMBOL: "an unknown element", NUMBER: "no integer", INTEGER: "no integer"}
                said = what.get(int(kinds[column]), "no number")
                text = token[:40].decode(errors="replace")
                raise Bad(f"atom {row}: {text!r} is {said}", start) from None
        if n_read == n_rows:
            return position
        if short:
            raise Bad(
                f"{n_read} of {n_rows} atoms are followed by a line with fewer than "
                f"{len(kinds)} columns",
                start,
            )
        if window.ended:
            text = window.failure or f"the file ends after {n_read} of {n_rows} atoms"
            raise Bad(text, len(window.data))
        raise NeedMore

    def surplus(
        self, window: Window, following: int, n_rows: int, kinds: np.ndarray, slots: np.ndarray
    ) -> bool:
        """Whether one more atom stands at `following`, after the `n_rows` read last."""
        if window.headed(following):
            return False
        self.offsets.append(self.n_atoms + n_rows)  # those rows stay
        try:
            self.rows(window, following, 1, kinds, slots)
        except Bad:
            return False
        finally:
            self.offsets.pop()
        return True

    def _convert(self, row: int, kind: int, slot: int, token: bytes) -> None:
        """Take a token that the kernel left to Python."""
        at = self.n_atoms + row
        text = token.decode()
        if kind == SYMBOL:
            self.numbers[at] = atomic_numbers[text.capitalize()]
        elif kind in (NUMBER, INTEGER):
            value = int(text)
            if kind == NUMBER:
                self.numbers[at] = value
        else:
            real = float(text)
            if slot >= 0:
                self.values[at, slot] = real

    def add(
        self,
        index: int,
        n_rows: int,
        cell: np.ndarray,
        pbc: np.ndarray,
        meta: dict[str, Any],
        forced: bool,
        energy: float = np.nan,
        stress: np.ndarray | None = None,
    ) -> None:
        """Accept the rows read last as a frame; `forced` says whether they hold forces."""
        self.offsets.append(self.n_atoms + n_rows)
        self.index.append(index)
        self.cells.append(cell)
        self.pbc.append(pbc)
        self.energy.append(energy)
        self.stress.append(stress)
        self.forced.append(forced)
        self.meta.append(meta)

    def drop(self) -> None:
        """Take back the frame added last."""
        self.offsets.pop()
        for column in (self.index, self.cells, self.pbc, self.energy, self.stress):
            column.pop()
        self.forced.pop()
        self.meta.pop()

    def frames(self) -> Frames:
        """The frames gathered, with the labels that any of them has."""
        n, total = len(self.index), self.n_atoms
        forces, stress = None, None
        if any(self.forced):
            forces = self.values[:total, FORCE : FORCE + 3].copy()
            forces[~np.repeat(self.forced, np.diff(self.offsets))] = np.nan
        if any(one is not None for one in self.stress):
            none = np.full(6, np.nan)
            stress = np.array([none if one is None else one for one in self.stress])
        energy = np.array(self.energy)
        return Frames(
            np.array(self.offsets),
            self.numbers[:total].copy(),
            self.values[:total, POSITION : POSITION + 3].copy(),
            np.array(self.cells).reshape(n, 3, 3),
            np.array(self.pbc, dtype=bool).reshape(n, 3),
            energy if np.isfinite(energy).any() else None,
            forces if forces is not None and np.isfinite(forces).any() else None,
            stress if stress is not None and np.isfinite(stress).any() else None,
            pd.DataFrame(self.meta, index=range(n)),
        )


class Format(Protocol):
    """How one text format is read."""

    window: Window
    gathered: Gathered

    def parse(self, start: int, index: int) -> int:
        """Add the frame at `start` to what is gathered; return the position after it."""

    def skip(self, start: int) -> int:
        """Pass over the frame at `start`; -1 where only parsing can tell where it ends."""

    def search(self, start: int) -> int:
        """Position of the next frame at `start` or later; NeedMore keeps a search going."""


def skip_rows(window: Window, start: int, n_rows: int) -> int:
    """Position after the rows of a frame, or -1 if their number may be wrong."""
    n_passed, position = skip_lines(window.view, start, n_rows)
    if n_passed == n_rows:
        return position if window.headed(position) else -1
    if position >= len(window.view) and not window.ended:
        raise NeedMore
    return -1


def read_text(request: Request, form: Format) -> Iterator[Chunk]:
    """Chunks of a text file; a broken frame costs itself only."""
    window, gathered, wanted = form.window, form.gathered, request.wanted
    broken: list[Broken] = []
    at = index = 0
    searching = False
    while not wanted.over(index):
        try:
            if searching:
                at = form.search(at)
                searching = False
            end = window.line_end(at)
            if not window.data[at:end].strip():
                at = end + 1
                continue
            at = _next(form, at, index, index in wanted)
            index += 1
        except NeedMore as need:
            window.more(at if need.keep is None else need.keep)
            at = 0
        except EndOfFile:
            break
        except Bad as bad:
            if index in wanted:
                broken.append(request.broken(index, str(bad)))
            at = bad.resume
            searching = True
            index += 1
        if gathered.n_atoms >= request.atoms_per_chunk or len(broken) >= MAX_BROKEN:
            yield screened(request, gathered.frames(), np.array(gathered.index), broken)
            gathered.clear()
            broken = []
    told = bool(broken) and broken[-1].reason == window.failure
    if window.failure and not told and index in wanted:
        broken.append(request.broken(index, window.failure))
    if gathered.index or broken:
        yield screened(request, gathered.frames(), np.array(gathered.index), broken)


def _next(form: Format, at: int, index: int, wanted: bool) -> int:
    """Read or pass over the frame at `at`; return the position after it."""
    try:
        following = -1 if wanted else form.skip(at)
        if following < 0:
            following = form.parse(at, index)
            if not wanted:
                form.gathered.drop()
        return following
    except EndOfFile:
        text = form.window.failure or "the file ends within the frame's header"
        raise Bad(text, len(form.window.data)) from None
