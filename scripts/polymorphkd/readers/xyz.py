"""Extended and plain XYZ, as ASE reads it, by a parser of its own.

Two things differ from ASE: blank lines between frames are passed over, where ASE stops; and
a frame with more atom lines than its header says is broken, where ASE gives up the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from ase import Atoms

from ..frames import from_atoms, meta_of
from .chunks import Chunk, Request, reason_of
from .comment import Header, NotPlain, header_of
from .kernels import header_like
from .text import FORCE, POSITION, Bad, EndOfFile, Gathered, NeedMore, Window, read_text, skip_rows


def read(request: Request) -> Iterator[Chunk]:
    """Chunks of an XYZ file."""
    yield from read_text(request, Xyz(request))


class Xyz:
    """The XYZ format for :func:`text.read_text`."""

    def __init__(self, request: Request) -> None:
        self.window = Window(request.path)
        self.gathered = Gathered()
        self.labels = request.labels_from_calculator

    def _count(self, start: int) -> tuple[int, int, int]:
        """Number of atoms, start of the comment and start of the rows."""
        window = self.window
        end = window.line_end(start)
        text = window.data[start:end].strip()
        try:
            n_atoms = int(text)
        except ValueError:
            said = text[:40].decode(errors="replace")
            raise Bad(f"the number of atoms is {said!r}, no integer", end + 1) from None
        if n_atoms < 0:
            raise Bad(f"the number of atoms is {n_atoms}", end + 1)
        return n_atoms, end + 1, window.line_end(end + 1) + 1

    def skip(self, start: int) -> int:
        """See :class:`text.Format`."""
        try:
            n_atoms, _, rows = self._count(start)
        except Bad:
            return -1
        return skip_rows(self.window, rows, n_atoms)

    def parse(self, start: int, index: int) -> int:
        """See :class:`text.Format`."""
        n_atoms, comment, rows = self._count(start)
        try:
            header = header_of(self.window.data[comment : rows - 1].decode(), self.labels)
            following = self.gathered.rows(
                self.window, rows, n_atoms, header.columns.kinds, header.columns.slots
            )
            n_vectors = self._vectors(following)
            if n_vectors:
                return self._by_ase(start, index, n_atoms, n_vectors)
            if self.gathered.surplus(
                self.window, following, n_atoms, header.columns.kinds, header.columns.slots
            ):
                raise Bad(f"more lines of atoms than the {n_atoms} of the header", following)
        except NotPlain:
            return self._by_ase(start, index, n_atoms, 0)
        except Bad as bad:
            raise Bad(str(bad), self._after(bad.resume, rows, n_atoms)) from None
        except (ValueError, TypeError, KeyError) as error:
            text = f"the comment line is malformed: {reason_of(error)}"
            raise Bad(text, self._after(rows, rows, n_atoms)) from None
        self._add(index, n_atoms, header)
        return following

    def _add(self, index: int, n_atoms: int, header: Header) -> None:
        self.gathered.add(
            index,
            n_atoms,
            header.cell,
            header.pbc,
            header.meta,
            header.columns.forced,
            header.energy,
            header.stress,
        )

    def _after(self, resume: int, rows: int, n_atoms: int) -> int:
        """Where to go on after a broken frame: behind it, if its lines are all there.

        Frames that are passed over are counted by the same rule, so that the indices of
        what follows do not depend on it.
        """
        following = skip_rows(self.window, rows, n_atoms)
        return resume if following < 0 else following

    def _vectors(self, start: int) -> int:
        """Number of lines ``VEC1`` to ``VEC3``, by which ADF gives a cell."""
        n_vectors = 0
        try:
            while self.window.data[start : self.window.line_end(start)].lstrip()[:3] == b"VEC":
                n_vectors += 1
                start = self.window.line_end(start) + 1
        except EndOfFile:
            pass
        return n_vectors

    def _by_ase(self, start: int, index: int, n_atoms: int, n_vectors: int) -> int:
        """Read a frame with ASE's parser."""
        from ase.io.extxyz import _read_xyz_frame  # on use: ase.io takes a third of a second

        from .ase_formats import promote_calculator

        position = start
        for _ in range(2 + n_atoms + n_vectors):
            position = self.window.line_end(position) + 1
        try:
            lines = self.window.data[start:position].decode().splitlines(keepends=True)
            image = _read_xyz_frame(islice(lines, 1, None), n_atoms, nvec=n_vectors)
            self._add_image(index, promote_calculator(image, self.labels))
        except Exception as error:  # noqa: BLE001  # ASE raises what it meets
            raise Bad(reason_of(error), position) from None
        return position

    def _add_image(self, index: int, image: Atoms) -> None:
        frames = from_atoms([image])
        gathered = self.gathered
        n_atoms = len(image)
        gathered.reserve(n_atoms)
        where = slice(gathered.n_atoms, gathered.n_atoms + n_atoms)
        gathered.numbers[where] = frames.numbers
        gathered.values[where, POSITION : POSITION + 3] = frames.positions
        if frames.forces is not None:
            gathered.values[where, FORCE : FORCE + 3] = frames.forces
        gathered.add(
            index,
            n_atoms,
            frames.cells[0],
            frames.pbc[0],
            meta_of(image.info),
            frames.forces is not None,
            np.nan if frames.energy is None else float(frames.energy[0]),
            None if frames.stress is None else frames.stress[0],
        )

    def search(self, start: int) -> int:
        """See :class:`text.Format`: an integer, a comment, and a line like that of an atom."""
        window = self.window
        at = start
        while True:
            try:
                end = window.line_end(at)
                if header_like(window.view, at) and self._atom_follows(end + 1):
                    return at
            except NeedMore:
                raise NeedMore(at) from None
            at = end + 1

    def _atom_follows(self, comment: int) -> bool:
        try:
            row = self.window.line_end(comment) + 1
            end = self.window.line_end(row)
        except EndOfFile:
            return True  # a frame that the end of the file cuts off
        return len(self.window.data[row:end].split()) >= 3
