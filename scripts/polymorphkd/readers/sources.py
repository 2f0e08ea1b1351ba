"""Names of sources, how to open them, and which format they have."""

from __future__ import annotations

import bz2
import glob
import gzip
import lzma
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from ..errors import InputError

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
PEEK_BYTES = 4096


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading bytes; the last suffix says how it is compressed."""
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if path.suffix == ".bz2":
        return cast(IO[bytes], bz2.open(path, "rb"))
    if path.suffix == ".xz":
        return cast(IO[bytes], lzma.open(path, "rb"))
    if path.suffix == ".zst":
        return cast(IO[bytes], pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))
    return path.open("rb")


def is_deepmd(path: Path) -> bool:
    """Whether a folder is one DeePMD system."""
    return (path / "type.raw").is_file()


def format_of(path: Path) -> str:
    """Key of :data:`readers.MODULES`; looks at name and first bytes.

    Raises
    ------
    InputError
        The source is absent, empty, or nothing that anyone here reads.
    """
    if path.is_dir():
        if is_deepmd(path):
            return "deepmd"
        raise InputError(f"{path}: is a folder without type.raw, so no DeePMD system")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; expected at least one structure")
    if path.suffix == ".parquet":
        return "parquet"
    try:
        with open_bytes(path) as stream:
            head = stream.read(PEEK_BYTES)
        if not head.strip():
            raise InputError(f"{path}: the file is empty; expected at least one structure")
        if head.startswith(b"ITEM:"):
            return "dump"
        if b"The number of configurations" in head and b"*" * 20 in head:
            return "ml_ab"
        if b"Direct configuration=" in head:
            return "xdatcar"
        plain = path.with_suffix("") if path.suffix in COMPRESSED else path
        if plain.suffix in (".xyz", ".extxyz"):
            return "xyz"
        if path.suffix == ".zst":
            return "ase"  # ASE looks at the decompressed copy
        return _format_by_ase(path)
    except (OSError, EOFError, lzma.LZMAError, ValueError) as error:
        raise unreadable(path, str(error)) from error


def _format_by_ase(path: Path) -> str:
    # Imported on use: ase.io takes a third of a second.
    from ase.io.formats import UnknownFileTypeError, filetype, ioformats

    try:
        name = filetype(str(path))
    except UnknownFileTypeError as error:
        raise unreadable(path, str(error)) from error
    if name not in ioformats:  # ASE falls back on the suffix, whatever it is
        raise unreadable(path, f"unknown format {name!r}")
    return "xyz" if name in ("xyz", "extxyz") else "ase"


def unreadable(path: Path, reason: str) -> InputError:
    """The error for a file that holds nothing readable."""
    return InputError(
        f"{path}: cannot be read as structures ({reason}); allowed is Parquet of this project, "
        "DeePMD folders, or any format that ASE reads"
    )


def expand_sources(patterns: Sequence[str | Path]) -> list[Path]:
    """Sources that names and wildcards mean.

    Parameters
    ----------
    patterns : sequence of str or path
        Files, folders and wildcards (``**`` goes into folders).  A DeePMD system is one
        source, also where a wildcard meets files inside it; a folder that holds such
        systems stands for all of them.

    Returns
    -------
    list of Path
        In the order given, sorted within a wildcard or folder, each source once.

    Raises
    ------
    InputError
        A pattern matches nothing.
    """
    sources: dict[Path, Path] = {}
    for pattern in patterns:
        found = _matches(Path(pattern).expanduser())
        if not found:
            raise InputError(f"{pattern}: no such file")
        for path in found:
            sources.setdefault(path.resolve(), path)
    return list(sources.values())


def _matches(pattern: Path) -> list[Path]:
    if pattern.is_dir():
        return _systems(pattern)
    if pattern.exists():
        return [pattern]
    found = [Path(name) for name in glob.glob(str(pattern), recursive=True)]
    return sorted({system for path in found for system in _source_of(path)})


def _systems(folder: Path) -> list[Path]:
    if is_deepmd(folder):
        return [folder]
    return sorted(path.parent for path in folder.rglob("type.raw"))


def _source_of(path: Path) -> list[Path]:
    """The source to which a name found by a wildcard belongs, if it is one."""
    for folder in (path, path.parent, path.parent.parent):
        if is_deepmd(folder):
            return [folder]
    return [path] if path.is_file() else []
