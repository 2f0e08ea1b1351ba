"""Where a number came from: digests, versions, random streams, files written whole."""

from __future__ import annotations

import ast
import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .errors import StageError

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of the system that say that a file cannot grow: disk, quota or limit."""

ROOM = 10_000_000
"""Free bytes below which a disk counts as full where a failure does not tell its reason."""

PACKAGE = Path(__file__).resolve().parent


def digest(value: Any, length: int = 12) -> str:
    """Short hexadecimal digest of a JSON-serialisable value, independent of key order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()[:length]


def file_digest(path: Path) -> str:
    """Digest of a file's content, 32 hexadecimal digits."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _strip_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return tree


@cache
def _statements(source: str) -> str:
    # Rooms share files, and every job of a batch system asks for them at its start.
    return ast.dump(_strip_docstrings(ast.parse(source)))


def code_digest(*rooms: str) -> str:
    """Digest of the package code in `rooms` (module or folder names below the package).

    Comments, formatting and docstrings do not count, so an edited sentence never
    relaunches a stage, while an edited statement does.
    """
    parts = []
    for room in rooms:
        path = PACKAGE / room
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        for file in files:
            parts.append((str(file.relative_to(PACKAGE)), _statements(file.read_text())))
    return digest(parts)


def rng(seed: int, material: str, stage: str, item: int | str) -> np.random.Generator:
    """Random stream owned by one item of one stage.

    The stream depends on these four values alone, never on the number of cores, shards
    or on the order of execution.
    """
    key = hashlib.blake2b(f"{material}|{stage}|{item}".encode(), digest_size=16).digest()
    words = np.frombuffer(key, dtype="<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))


def version_of(distribution: str) -> str:
    """Installed version of a distribution, or an empty string where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def disk_full(folder: str | Path) -> bool:
    """Whether hardly any room is left where `folder` lies.

    Not every failure to write says why: neither NumPy nor PyTorch passes the reason on.
    """
    return shutil.disk_usage(folder).free < ROOM


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the final name only on success.

    A reader therefore sees either the old file, the whole new file, or none.

    Raises
    ------
    StageError
        There is no room for the file; no other error of the system is changed.
    """
    path = Path(path)
    # Named before it is there: a signal between the two leaves nothing (mkstemp would).
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.touch(mode=0o600, exist_ok=False)
            yield temporary
            temporary.chmod(0o644)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise StageError(
            f"{path}: cannot be written: {os.strerror(error.errno or 0)}; make room and start "
            "again: what is finished is kept"
        ) from error


@contextmanager
def scratch_folder(parent: str | Path, prefix: str) -> Iterator[Path]:
    """Yield a new empty folder in `parent`, which goes at the end of the block.

    Also where an exception ends it, such as the one that ``polymorphkd`` makes of SIGTERM;
    ``tempfile.TemporaryDirectory`` leaves its folder if that comes just after it was made.
    """
    path = Path(parent) / f"{prefix}{secrets.token_hex(4)}"
    try:
        path.mkdir(mode=0o700)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN is refused because JSON has none."""
    text = json.dumps(value, indent=2, sort_keys=False, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text())


def algorithm_version(room: str) -> int:
    """The integer ``ALGORITHM_VERSION`` of a costly room, read without importing it.

    Raises
    ------
    KeyError
        The room's ``__init__.py`` does not define it.
    """
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for name in node.targets:
                if isinstance(name, ast.Name) and name.id == "ALGORITHM_VERSION":
                    return int(str(node.value.value))
    raise KeyError(f"{room}: no ALGORITHM_VERSION")
