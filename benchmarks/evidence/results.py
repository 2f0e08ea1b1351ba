"""Files of results that grow run by run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polymorphkd.errors import InputError

PACKAGES = ("gpaw", "mace-torch", "torch", "deepmd-kit", "tensorflow-cpu", "numba")
"""Their versions belong to every number of a training benchmark."""


def earlier(path: Path | None, head: Mapping[str, Any], key: str) -> dict[str, Any]:
    """What stands under `key` in a file of results.

    Parameters
    ----------
    path : Path or None
    head : mapping
        Keys and values that the file must have, so that its numbers belong to the new ones.
    key : str

    Raises
    ------
    InputError
        The file is of something else.
    """
    if path is None or not path.is_file():
        return {}
    found = json.loads(path.read_text())
    differs = [name for name in head if found.get(name) != head[name]]
    if differs:
        raise InputError(
            f"{path}: holds results of other {' and '.join(differs)}; give another name"
        )
    kept: dict[str, Any] = found[key]
    return kept
