"""Read any structure file, of any size: frames arrive in chunks, broken ones are named.

:func:`stream` is the one way in which this package reads structures; :func:`read_frames`
is all of a stream at once, for the files that a stage needs in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..frames import Frames, concatenate, from_atoms
from .chunks import Broken, Chunk, Reader, Request, Wanted
from .sources import expand_sources, format_of, unreadable

__all__ = ["Broken", "Chunk", "expand_sources", "read_at", "read_frames", "stream"]

MODULES = {
    "parquet": "parquet",
    "deepmd": "deepmd",
    "xyz": "xyz",
    "dump": "dump",
    "ml_ab": "ml_ab",
    "xdatcar": "xdatcar",
    "ase": "ase_formats",
}
"""Format, as :func:`sources.format_of` names it, and the module that reads it."""


def stream(
    path: str | Path,
    atoms_per_chunk: int = 200_000,
    start_at: int = 0,
    labels_from_calculator: bool = True,
) -> Iterator[Chunk]:
    """Frames of one source in chunks; memory does not depend on the number of frames.

    Parameters
    ----------
    path : path
        Parquet of this project, (extended) XYZ, a LAMMPS text dump, XDATCAR or ML_AB of VASP,
        a DeePMD folder, or any file that ASE reads; text may be compressed (.gz, .bz2, .xz,
        .zst).
    atoms_per_chunk : int
        A chunk is full with so many atoms.
    start_at : int
        Index of the first frame to yield; the frames before it are passed over quickly and
        not checked.
    labels_from_calculator : bool
        Also take energies, forces and stresses that are not under ``REF_`` keys, from
        frames without `REF_energy`.

    Yields
    ------
    Chunk
        In the order of the file; the last one may hold broken frames only.

    Raises
    ------
    InputError
        At the call: the source is absent, empty or of no known format.  While reading: it
        holds no frame at all.
    """
    path = Path(path)
    request = Request(path, Wanted(start_at), atoms_per_chunk, labels_from_calculator)
    return _nonempty(request, _reader(format_of(path)))


def _reader(name: str) -> Reader:
    # Imported on use: the text formats bring numba, which costs half a second.
    reader: Reader = import_module(f".{MODULES[name]}", __package__).read
    return reader


def _nonempty(request: Request, reader: Reader) -> Iterator[Chunk]:
    empty = True
    for chunk in reader(request):
        empty = False
        yield chunk
    if empty and request.wanted.start == 0:
        raise InputError(f"{request.path}: holds no atoms; expected at least one structure")


def read_at(path: str | Path, indices: Sequence[int] | np.ndarray) -> Frames:
    """Some frames of one source, in the given order; an index may be repeated.

    Parameters
    ----------
    path : path
    indices : sequence of int
        Positions in the file from 0, as :attr:`Chunk.index` gives them.

    Raises
    ------
    InputError
        The source is unusable, or a frame is broken or beyond its end.
    """
    path = Path(path)
    asked = np.asarray(indices, dtype=np.int64).reshape(-1)
    if not len(asked):
        return from_atoms([])
    wanted = Wanted(only=frozenset(asked.tolist()))
    request = Request(path, wanted, 200_000, True)
    chunks = list(_reader(format_of(path))(request))
    for chunk in chunks:
        for one in chunk.broken:
            if one.index in wanted:
                raise InputError(f"{path}: frame {one.index}: {one.reason}")
    index = np.concatenate([chunk.index for chunk in chunks]) if chunks else np.zeros(0, int)
    absent = np.setdiff1d(asked, index)
    if len(absent):
        raise InputError(f"{path}: has no frame {absent[0]}")
    return concatenate([chunk.frames for chunk in chunks]).take(np.searchsorted(index, asked))


def read_frames(
    path: str | Path, labels_from_calculator: bool = False, broken: list[Broken] | None = None
) -> Frames:
    """Read every frame of one source at once; see :func:`stream` for the formats.

    Parameters
    ----------
    path : path
    labels_from_calculator : bool
        Also accept labels that are not under ``REF_`` keys (a DFT output file).
    broken : list of Broken, optional
        Where it is given, broken frames are added to it and left out.

    Raises
    ------
    InputError
        The source is absent, empty, of no known format, or one of its frames is broken; the
        message names file and frame.
    """
    parts = []
    for chunk in stream(path, labels_from_calculator=labels_from_calculator):
        if broken is not None:
            broken.extend(chunk.broken)
        for one in chunk.broken if broken is None else []:
            raise unreadable(Path(path), f"frame {one.index}: {one.reason}")
        parts.append(chunk.frames)
    return parts[0] if len(parts) == 1 else concatenate(parts)
