"""LAMMPS text dumps, as ASE reads them, by a parser of its own.

As in ASE: elements come from the column `element`, else from `mass`, else the types 1, 2, ...
become atomic numbers; coordinates are `x`, else `xs`, `xu`, `xsu`; atoms are ordered by `id`;
the origin of the box is dropped.  Two things differ: a dump holds no energy, where ASE says
0 eV; and a section ``ITEM: UNITS`` is obeyed, where ASE takes metal units for granted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from ase.calculators.lammps import convert
from ase.data import atomic_masses
from ase.io.lammpsrun import construct_cell

from .chunks import Chunk, Request
from .kernels import INTEGER, NUMBER, REAL, SYMBOL, TEXT
from .text import (
    FORCE,
    ID,
    MASS,
    POSITION,
    Bad,
    EndOfFile,
    Gathered,
    NeedMore,
    Window,
    read_text,
    skip_rows,
)

START = re.compile(rb"^ITEM: (?:TIME|UNITS)", re.MULTILINE)  # TIME or TIMESTEP
AXES = ("x", "y", "z")


def read(request: Request) -> Iterator[Chunk]:
    """Chunks of a LAMMPS text dump."""
    yield from read_text(request, Dump(request))


@dataclass(frozen=True)
class Columns:
    """How atom lines are read: arguments of :func:`kernels.parse_rows`, and what they hold."""

    kinds: np.ndarray
    slots: np.ndarray
    scaled: bool
    forced: bool
    ordered: bool
    by_mass: bool


@lru_cache(maxsize=16)
def columns_of(line: str) -> Columns:
    """Columns that an ``ITEM: ATOMS`` line names.

    Raises
    ------
    ValueError
        No positions or no elements are among them.
    """
    names = line.split()[2:]
    species = next((name for name in ("element", "mass", "type") if name in names), None)
    if species is None:
        raise ValueError("no column element, mass or type")
    tail = next((tail for tail in ("", "s", "u", "su") if f"x{tail}" in names), None)
    if tail is None or not all(f"{axis}{tail}" in names for axis in AXES):
        raise ValueError("no columns x y z, xs ys zs, xu yu zu or xsu ysu zsu")
    slots = {f"{axis}{tail}": POSITION + k for k, axis in enumerate(AXES)}
    forced = all(f"f{axis}" in names for axis in AXES)
    slots |= {f"f{axis}": FORCE + k for k, axis in enumerate(AXES) if forced}
    slots["id"] = ID
    if species == "mass":
        slots["mass"] = MASS
    kinds = {"element": TEXT, "typelabel": TEXT, "type": INTEGER}
    if species != "mass":
        kinds[species] = SYMBOL if species == "element" else NUMBER
    return Columns(
        np.array([kinds.get(name, REAL) for name in names], dtype=np.int64),
        np.array([slots.get(name, -1) for name in names], dtype=np.int64),
        "s" in tail,
        forced,
        "id" in names,
        species == "mass",
    )


@lru_cache(maxsize=16)
def box_of(header: str, lines: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Cell (3, 3) in the units of the file and pbc (3,) of a ``BOX BOUNDS`` section.

    Orthogonal, restricted triclinic (``xy xz yz``) and general triclinic (``abc origin``)
    boxes; without boundary flags the box is open, as in ASE.
    """
    words = header.split()[3:]
    numbers = np.array([[float(word) for word in line.split()] for line in lines])
    flags = words[-3:] if len(words) >= 3 and words[-1] != "yz" else ["f"] * 3
    pbc = np.array(["p" in flag.lower() for flag in flags])
    if words and words[0] == "abc":
        return numbers[:, :3], pbc
    tilts = numbers[:, 2] if numbers.shape[1] > 2 else np.zeros(3)
    if numbers.shape[1] > 2 and len(words) >= 3:
        tilts = tilts[[words.index(name) for name in ("xy", "xz", "yz")]]
    return construct_cell(numbers[:, :2].ravel(), tilts)[0], pbc


@dataclass
class Header:
    """What stands above the atom lines of a frame."""

    rows: int = 0
    timestep: int | None = None
    n_atoms: int | None = None
    box: tuple[np.ndarray, np.ndarray] | None = None
    columns: Columns | None = None


class Dump:
    """The dump format for :func:`text.read_text`."""

    def __init__(self, request: Request) -> None:
        self.window = Window(request.path)
        self.gathered = Gathered()
        self.labels = request.labels_from_calculator
        self.units = "metal"

    def _line(self, start: int) -> tuple[str, int]:
        end = self.window.line_end(start)
        return self.window.data[start:end].decode(errors="replace").strip(), end + 1

    def _header(self, start: int) -> Header:
        """Sections of a frame up to its atom lines.

        Raises
        ------
        Bad
            A section is absent or malformed.
        """
        header = Header()
        line, at = self._line(start)
        try:
            while not line.startswith("ITEM: ATOMS"):
                here = at
                first, at = self._line(at)
                if not line.startswith("ITEM:"):
                    raise Bad(f"{line[:40]!r} stands where a section should start", here)
                if first.startswith("ITEM:"):
                    raise Bad(f"the section {line[6:]!r} is empty", here)
                if line.startswith("ITEM: TIMESTEP"):
                    header.timestep = int(first.split()[0])
                elif line.startswith("ITEM: NUMBER OF ATOMS"):
                    header.n_atoms = int(first.split()[0])
                elif line.startswith("ITEM: UNITS"):
                    self.units = first
                elif line.startswith("ITEM: BOX BOUNDS"):
                    second, at = self._line(at)
                    third, at = self._line(at)
                    header.box = box_of(line, (first, second, third))
                here = at
                line, at = self._line(at)
                if line == "ITEM: TIMESTEP" and header.timestep is not None:
                    raise Bad("the frame has no section with its atoms", here)
            header.columns = columns_of(line)
        except (ValueError, IndexError) as error:
            raise Bad(f"the section {line[6:46]!r} is malformed: {error}", at) from None
        for name in ("timestep", "n_atoms", "box"):
            if getattr(header, name) is None:
                raise Bad(f"the frame has no section with its {name.replace('_', ' ')}", at)
        if header.n_atoms is not None and header.n_atoms < 0:
            raise Bad(f"the number of atoms is {header.n_atoms}", at)
        header.rows = at
        return header

    def skip(self, start: int) -> int:
        """See :class:`text.Format`."""
        try:
            header = self._header(start)
        except Bad:
            return -1
        assert header.n_atoms is not None
        return skip_rows(self.window, header.rows, header.n_atoms)

    def parse(self, start: int, index: int) -> int:
        """See :class:`text.Format`."""
        header = self._header(start)
        n_atoms, columns, box = header.n_atoms, header.columns, header.box
        assert n_atoms is not None
        assert columns is not None
        assert box is not None
        following = self.gathered.rows(
            self.window, header.rows, n_atoms, columns.kinds, columns.slots
        )
        if self.gathered.surplus(self.window, following, n_atoms, columns.kinds, columns.slots):
            raise Bad(f"more lines of atoms than the {n_atoms} of the header", following)
        cell = box[0] * self._unit("distance", header.rows)
        forced = columns.forced and self.labels
        self._finish(n_atoms, columns, cell, header.rows, forced)
        meta = {"timestep": header.timestep}
        self.gathered.add(index, n_atoms, cell, box[1], meta, forced)
        return following

    def _unit(self, quantity: str, resume: int) -> float:
        """Factor to Å or eV/Å; reduced (lj) units stay as they are, as no one knows theirs."""
        if self.units == "lj":
            return 1.0
        try:
            return float(convert(1.0, quantity, self.units, "ASE"))
        except KeyError:
            raise Bad(f"unknown units {self.units!r}", resume) from None

    def _finish(
        self, n_atoms: int, columns: Columns, cell: np.ndarray, resume: int, forced: bool
    ) -> None:
        """Order the rows read last, and turn them into Å, eV/Å and atomic numbers."""
        where = slice(self.gathered.n_atoms, self.gathered.n_atoms + n_atoms)
        values, numbers = self.gathered.values[where], self.gathered.numbers[where]
        if columns.by_mass:
            masses, owner = np.unique(values[:, MASS], return_inverse=True)
            elements = np.abs(atomic_masses - masses[:, None]).argmin(axis=1)
            numbers[:] = elements[owner]
        if columns.ordered and np.any(np.diff(values[:, ID]) < 0):
            order = np.argsort(values[:, ID], kind="stable")
            values[:] = values[order]
            numbers[:] = numbers[order]
        xyz = values[:, POSITION : POSITION + 3]
        xyz[:] = xyz @ cell if columns.scaled else xyz * self._unit("distance", resume)
        if forced:
            values[:, FORCE : FORCE + 3] *= self._unit("force", resume)

    def search(self, start: int) -> int:
        """See :class:`text.Format`: the next of the sections that begin a frame."""
        found = START.search(self.window.data, start)
        if found:
            return found.start()
        if self.window.ended:
            raise EndOfFile
        raise NeedMore(max(start, self.window.data.rfind(b"\n") + 1))
