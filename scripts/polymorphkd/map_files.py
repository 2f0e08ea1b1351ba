"""Landscape points of whole files: `polymorphkd map`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ase.formula import Formula

from .errors import InputError
from .frames import Frames, concatenate, from_atoms
from .landscape import atom_points, auto_cutoff, points
from .readers import Broken, Chunk, expand_sources, stream
from .settings import Landscape
from .table_files import table_file

ATOMS_PER_CHUNK = 50_000
"""A few hundred frames at once: threads share them, and memory holds no more."""

FRAMES_FOR_CUTOFF = 200
"""`cutoff: auto` is resolved on so many frames, spread evenly over the sources."""


@dataclass
class Mapped:
    """What `map_files` did: frames written, the cutoff used (Å), and frames left out."""

    n_frames: int
    cutoff: float
    broken: list[Broken]


class Job(NamedTuple):
    """What is made of every chunk: settings, cutoff (Å), metadata to keep, a table of atoms."""

    settings: Landscape
    cutoff: float
    keep: tuple[str, ...]
    atoms: bool


def map_files(
    patterns: Sequence[str | Path],
    output: Path,
    settings: Landscape,
    keep: Sequence[str] = (),
    n_threads: int = 1,
    force: bool = False,
    report: Callable[[Chunk], None] = lambda chunk: None,
    per_atom: Path | None = None,
) -> Mapped:
    """Map every frame of the files that `patterns` name to one table of landscape points.

    Memory does not depend on the number of frames: the tables are written as they grow.

    Parameters
    ----------
    patterns : sequence
        Files, globs, or DeePMD folders; see `readers.expand_sources`.
    output : path
        .parquet or .csv, in the order of the input; it appears when it is complete.
    settings : Landscape
    keep : sequence of str
        Metadata of the frames to keep as columns (missing where a frame has none).
    n_threads : int
        Threads that map while the next frames are read; the result does not depend on it.
    force : bool
        Overwrite an existing file.
    report : callable
        Called with each chunk when it is done.
    per_atom : path, optional
        Where a table of every atom goes: see `landscape.atom_points`.

    Returns
    -------
    Mapped

    Raises
    ------
    InputError
        An input or the output cannot be used, or no frame is left.
    """
    check_output(output, force)
    if per_atom:
        _check_per_atom(per_atom, output, settings, force)
    sources = expand_sources(patterns)
    cutoff = settings.cutoff
    if cutoff == "auto":
        cutoff = 0.0 if settings.nearest else auto_cutoff(_sample(sources))
    job = Job(settings, float(cutoff), tuple(keep), per_atom is not None)
    broken: list[Broken] = []
    with ExitStack() as stack:
        files = [stack.enter_context(table_file(path)) for path in (output, per_atom) if path]
        for chunk, tables in _mapped(sources, job, n_threads):
            if len(chunk.frames):
                for file, table in zip(files, tables, strict=True):
                    file.add(table)
            broken += chunk.broken
            report(chunk)
        n_frames = files[0].n_rows
        if not n_frames:
            first = ""
            if broken:
                first = f" (first: {broken[0].path}, frame {broken[0].index}: {broken[0].reason})"
            raise InputError(f"no frame could be read{first}; nothing is written")
    return Mapped(n_frames, float(cutoff), broken)


def check_output(output: Path, force: bool) -> None:
    """Refuse an output that cannot be written, before any work.

    Raises
    ------
    InputError
        Wrong suffix, absent folder, or a file that is there already without `force`.
    """
    if output.suffix not in (".parquet", ".csv"):
        raise InputError(f"{output}: a table of points is .parquet or .csv")
    if not output.parent.is_dir():
        raise InputError(f"{output}: there is no folder {output.parent}")
    if output.exists() and not force:
        raise InputError(f"{output}: exists already; give --force to overwrite it")


def _check_per_atom(path: Path, output: Path, settings: Landscape, force: bool) -> None:
    """Refuse a table of atoms that cannot be written or would not be what it says."""
    check_output(path, force)
    if path.resolve() == output.resolve():
        raise InputError(f"--per-atom: {path} is the table of frames already")
    if settings.definition != "equations" or settings.species != "all":
        raise InputError("--per-atom needs --definition equations and --species all")


def _sample(sources: Sequence[Path]) -> Frames:
    """Frames from the beginning of each source that are periodic in all directions."""
    each = max(FRAMES_FOR_CUTOFF // len(sources), 1)
    parts = []
    for source in sources[:FRAMES_FOR_CUTOFF]:
        chunk = next(_chunks(source), None)
        if chunk is not None and len(chunk.frames):
            bulk = np.flatnonzero(chunk.frames.pbc.all(axis=1))[:each]
            parts.append(chunk.frames.take(bulk).without_labels())
    return concatenate(parts)


def _chunks(source: Path) -> Iterator[Chunk]:
    """Chunks of a source; one that cannot be read (any more) is broken there, and ends."""
    index = 0
    try:
        for chunk in stream(source, ATOMS_PER_CHUNK):
            index = max(
                index, *(chunk.index[-1:] + 1).tolist(), *(b.index + 1 for b in chunk.broken), 0
            )
            yield chunk
    except InputError as error:
        reason = str(error).removeprefix(f"{source}: ")
        broken = [Broken(str(source), index, reason)]
        yield Chunk(str(source), from_atoms([]), np.zeros(0, dtype=np.int64), broken)


def _mapped(
    sources: Iterable[Path], job: Job, n_threads: int
) -> Iterator[tuple[Chunk, list[pd.DataFrame]]]:
    """Chunks with their tables in order: the kernels run while the next chunk is read."""
    waiting: deque[tuple[Chunk, Future[list[pd.DataFrame]]]] = deque()
    with ThreadPoolExecutor(n_threads) as pool:
        for source in sources:
            for chunk in _chunks(source):
                waiting.append((chunk, pool.submit(_tables, chunk, job)))
                if len(waiting) > n_threads:
                    done, future = waiting.popleft()
                    yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()


def _tables(chunk: Chunk, job: Job) -> list[pd.DataFrame]:
    """Points of one chunk with where they come from, and its atoms if they are wanted."""
    frames = chunk.frames
    table = points(frames, job.settings, job.cutoff)
    digest = table.pop("settings_digest")
    table["formula"] = _formulas(frames)
    energy = np.full(len(frames), np.nan) if frames.energy is None else frames.energy
    table["energy_per_atom"] = energy / frames.n_atoms
    table["source"] = chunk.path
    table["source_index"] = chunk.index
    table["settings_digest"] = digest
    for name in job.keep:
        table[name] = frames.meta[name].to_numpy() if name in frames.meta else None
    return [table, atom_points(frames, job.settings, job.cutoff)] if job.atoms else [table]


def _formulas(frames: Frames) -> list[str]:
    """Chemical formula of each frame in Hill order."""
    known: dict[bytes, str] = {}
    result = []
    for i in range(len(frames)):
        numbers = frames.numbers[frames.atoms_of(i)]
        key = numbers.tobytes()
        if key not in known:
            known[key] = _formula(numbers)
        result.append(known[key])
    return result


def _formula(numbers: np.ndarray) -> str:
    from ase.data import chemical_symbols

    kinds, counts = np.unique(numbers, return_counts=True)
    composition: dict[str, Any] = {
        chemical_symbols[k]: int(n) for k, n in zip(kinds, counts, strict=True)
    }
    return Formula.from_dict(composition).format("hill")
