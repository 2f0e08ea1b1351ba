"""Files of pseudopotentials: where they are, what is in them, and links to them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from ase import Atoms

VALENCE = (
    r'z_valence\s*=\s*"\s*([-+\d.EeDd]+)',  # UPF 2
    r"^\s*([-+\d.EeDd]+)\s+Z valence",  # UPF 1
)


def folder_of(given: str | None, variable: str) -> Path | None:
    """Folder of the settings or else of an environment variable; None where neither is set."""
    name = given or os.environ.get(variable)
    return Path(name).expanduser().absolute() if name else None


def folder_problem(name: str, folder: Path | None, variable: str) -> str | None:
    """What is wrong with the folder of an engine's potentials, or None."""
    key = f"label.{name}.potential_folder"
    if folder is None:
        return f"no potentials: set {key} or the environment variable {variable} to their folder"
    if not folder.is_dir():
        return f"no potentials: {key} (or the variable {variable}) is {folder}, which is no folder"
    return None


def missing_file(name: str, folder: Path, files: Iterable[str]) -> str | None:
    """Message about the first file that is not in the folder, or None."""
    for file in files:
        if not (folder / file).is_file():
            key = f"label.{name}.potential_folder"
            return f"no file {file} in {folder}; set {key} or correct the name"
    return None


def link(folder: Path, source: Path, files: Iterable[str]) -> None:
    """Link files into a run's folder: programs cut long paths, and archives stay small."""
    for file in sorted(set(files)):
        (folder / file).symlink_to(source / file)


def with_moments(atoms: Atoms, moments: dict[str, float]) -> Atoms:
    """The atoms with an initial moment (Bohr magnetons) that their elements decide."""
    atoms = atoms.copy()
    if moments:
        atoms.set_initial_magnetic_moments([moments.get(s, 0.0) for s in atoms.symbols])
    return atoms


def valence(path: Path) -> float:
    """Valence electrons of a UPF file.

    Raises
    ------
    ValueError
        It does not tell them.
    """
    text = path.read_text(errors="replace")
    for pattern in VALENCE:
        if found := re.search(pattern, text, re.MULTILINE):
            return float(found[1].replace("D", "E").replace("d", "e"))
    raise ValueError(f"{path}: does not tell its valence electrons")
