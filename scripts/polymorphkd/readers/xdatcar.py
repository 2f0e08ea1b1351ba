"""XDATCAR of VASP, as ASE reads it, but frame by frame, and also if a killed run left it torn.

A header (comment, scale, cell, elements, counts) comes before the first frame; in runs with a
cell that changes, before every frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import IO

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from ..frames import from_atoms
from .chunks import Broken, Chunk, Request, screened
from .sources import open_bytes, unreadable

TITLE = "Direct configuration="
_NAME = re.compile(r"[A-Z][a-z]?")


class Torn(Exception):
    """The file ends within a frame."""


class Header(Exception):
    """The header cannot be read, so that nothing after it can."""


def read(request: Request) -> Iterator[Chunk]:
    """Chunks of an XDATCAR."""
    images: list[Atoms] = []
    index: list[int] = []
    broken: list[Broken] = []
    n_atoms = 0
    with open_bytes(request.path) as stream:
        frames = _frames(_lines(stream))
        position = -1
        try:
            for position, (numbers, cell, lines) in enumerate(frames):
                if request.wanted.over(position):
                    break
                if position in request.wanted:
                    try:
                        images.append(_image(numbers, cell, lines))
                        index.append(position)
                        n_atoms += len(numbers)
                    except ValueError as error:
                        broken.append(request.broken(position, str(error)))
                if n_atoms >= request.atoms_per_chunk:
                    yield screened(request, from_atoms(images), np.array(index), broken)
                    images, index, broken, n_atoms = [], [], [], 0
        except (Torn, Header) as error:
            if position < 0 and isinstance(error, Header):
                raise unreadable(request.path, f"XDATCAR: {error}") from None
            if position + 1 >= request.wanted.start:
                broken.append(request.broken(position + 1, str(error)))
    if images or broken:
        yield screened(request, from_atoms(images), np.array(index), broken)


def _lines(stream: IO[bytes]) -> Iterator[str]:
    """Whole lines; one without an end was cut."""
    for raw in stream:
        if raw.endswith(b"\n"):
            yield raw.decode(errors="replace")


def _frames(lines: Iterator[str]) -> Iterator[tuple[np.ndarray, np.ndarray, list[str]]]:
    """Atomic numbers, cell and lines of coordinates of each frame."""
    numbers, cell = np.zeros(0, dtype=int), np.eye(3)
    for line in lines:
        if TITLE not in line:
            if not len(numbers) or line.strip():
                numbers, cell = _header(lines)
            else:
                continue
        yield numbers, cell, _take(lines, len(numbers))


def _take(lines: Iterator[str], count: int) -> list[str]:
    found = list(islice(lines, count))
    if len(found) < count:
        raise Torn("the file ends within this frame")
    return found


def _header(lines: Iterator[str]) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers and cell; the lines end after the title of the frame."""
    scale, *vectors, names, counts, title = _take(lines, 7)
    try:
        cell = np.array([[float(word) for word in line.split()] for line in vectors])
        factor = float(scale)
        many = [int(word) for word in counts.split()]
        # VASP 6 may add a digest of the potential to a name, as in Al_pv/4f3a91.
        kinds = [_NAME.match(word) for word in names.split()]
        symbols = [kind.group() for kind in kinds if kind is not None]
        if cell.shape != (3, 3) or len(symbols) != len(many) or len(many) != len(kinds):
            raise ValueError("expected three vectors, then elements and as many counts")
        numbers = np.repeat([atomic_numbers[symbol] for symbol in symbols], many)
    except (ValueError, KeyError) as error:
        raise Header(f"header: {error}") from None
    if TITLE not in title:
        raise Header(f"header: {title.strip()!r} where {TITLE!r} is expected")
    if factor < 0:  # then it is the volume
        factor = float(-factor / abs(np.linalg.det(cell))) ** (1 / 3)
    return numbers, factor * cell


def _image(numbers: np.ndarray, cell: np.ndarray, lines: list[str]) -> Atoms:
    scaled = [[float(word) for word in line.split()[:3]] for line in lines]
    if any(len(row) != 3 for row in scaled):
        raise ValueError("expected three coordinates for each atom")
    return Atoms(numbers, cell=cell, scaled_positions=scaled, pbc=True)
