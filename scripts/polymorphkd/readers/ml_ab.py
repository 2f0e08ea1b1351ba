"""ML_AB and ML_ABN of VASP: the training set of its machine-learned force fields.

The format is that of the VASP wiki (page ML_AB): sections of a title and its values, between
lines of one sign; a header; then one block for each configuration.  Neither ASE nor pymatgen
reads it.  Stresses are in kbar with VASP's sign, compression positive; ASE's is the opposite.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.units import GPa

from ..frames import from_atoms
from .chunks import Broken, Chunk, Request, screened
from .sources import open_bytes, unreadable

LEDGER = re.compile(r"\s*(\*{20,}|-{20,}|={20,})\s*")
CONFIGURATION = "Configuration num."
COUNT = "The number of configurations"
# Fortran leaves the E out where an exponent has three digits.
_NO_E = re.compile(r"(?<=[0-9.])([+-][0-9]{3})$")


def read(request: Request) -> Iterator[Chunk]:
    """Chunks of an ML_AB file."""
    images: list[Atoms] = []
    index: list[int] = []
    broken: list[Broken] = []
    n_atoms = position = 0
    with open_bytes(request.path) as stream:
        blocks = _blocks(stream)
        announced = _announced(request, next(blocks))
        for block in blocks:
            if request.wanted.over(position):
                announced = position
                break
            if position in request.wanted:
                try:
                    images.append(_configuration(block))
                    index.append(position)
                    n_atoms += len(images[-1])
                except ValueError as error:
                    broken.append(request.broken(position, str(error)))
            position += 1
            if n_atoms >= request.atoms_per_chunk:
                yield screened(request, from_atoms(images), np.array(index), broken)
                images, index, broken, n_atoms = [], [], [], 0
    if position != announced and position >= request.wanted.start:
        reason = f"the file holds {position} configurations, its header announces {announced}"
        broken.append(request.broken(position, reason))
    if images or broken:
        yield screened(request, from_atoms(images), np.array(index), broken)


def _blocks(stream: IO[bytes]) -> Iterator[list[str]]:
    """Lines of the header, then of each configuration from its title on."""
    lines: list[str] = []
    for raw in stream:
        line = raw.decode(errors="replace").rstrip("\r\n")
        if line.strip().startswith(CONFIGURATION):
            if lines and LEDGER.fullmatch(lines[-1]):
                lines.pop()
            yield lines
            lines = []
        lines.append(line)
    yield lines


def _sections(lines: list[str]) -> dict[str, list[str]]:
    """Lines of values by the title above them."""
    parts: list[list[str]] = [[]]
    for line in lines:
        if LEDGER.fullmatch(line):
            parts.append([])
        else:
            parts[-1].append(line)
    found: dict[str, list[str]] = {}
    rest = iter(parts[1:])
    for part in rest:
        title = " ".join(" ".join(part).split())
        if title and title != "Stress (kbar)":  # which has two sections below it
            found[title] = next(rest, [])
    return found


def _announced(request: Request, header: list[str]) -> int:
    try:
        return _integer(_sections(header), COUNT)
    except ValueError as error:
        raise unreadable(request.path, f"ML_AB: header: {error}") from None


def _values(sections: dict[str, list[str]], title: str) -> list[str]:
    if title not in sections:
        raise ValueError(f"no section {title!r}")
    return [line for line in sections[title] if line.strip()]


def _integer(sections: dict[str, list[str]], title: str) -> int:
    text = " ".join(_values(sections, title)).strip()
    if not text.isdigit():
        raise ValueError(f"{title!r} is {text!r}; expected a whole number")
    return int(text)


def _rows(sections: dict[str, list[str]], title: str, n_rows: int, n_columns: int) -> np.ndarray:
    rows = [line.split() for line in _values(sections, title)]
    if len(rows) != n_rows or any(len(row) != n_columns for row in rows):
        raise ValueError(f"{title!r}: expected {n_rows} lines of {n_columns} numbers")
    try:
        return np.array([[float(_NO_E.sub(r"E\1", word)) for word in row] for row in rows])
    except ValueError as error:
        raise ValueError(f"{title!r}: {error}") from None


def _symbols(sections: dict[str, list[str]]) -> list[str]:
    """Element of every atom; of names such as O1 and O2, which VASP tells apart, the element."""
    symbols: list[str] = []
    for line in _values(sections, "Atom types and atom numbers"):
        words = line.split()
        if len(words) != 2 or not words[1].isdigit():
            raise ValueError(f"atom types: {line.strip()!r}; expected a name and a number")
        symbol = words[0].rstrip("0123456789")
        if symbol not in atomic_numbers:
            raise ValueError(f"atom types: {words[0]!r} is no element")
        symbols += [symbol] * int(words[1])
    return symbols


def _configuration(lines: list[str]) -> Atoms:
    sections = _sections(lines)
    n_atoms = _integer(sections, "The number of atoms")
    symbols = _symbols(sections)
    if len(symbols) != n_atoms:
        raise ValueError(f"the atom types add up to {len(symbols)} atoms, expected {n_atoms}")
    atoms = Atoms(
        symbols,
        positions=_rows(sections, "Atomic positions (ang.)", n_atoms, 3),
        cell=_rows(sections, "Primitive lattice vectors (ang.)", 3, 3),
        pbc=True,
    )
    atoms.info["REF_energy"] = float(_rows(sections, "Total energy (eV)", 1, 1)[0, 0])
    atoms.arrays["REF_forces"] = _rows(sections, "Forces (eV ang.^-1)", n_atoms, 3)
    xx, yy, zz = _rows(sections, "XX YY ZZ", 1, 3)[0]
    xy, yz, zx = _rows(sections, "XY YZ ZX", 1, 3)[0]
    atoms.info["REF_stress"] = -0.1 * GPa * np.array([xx, yy, zz, yz, zx, xy])
    return atoms
