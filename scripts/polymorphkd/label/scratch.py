"""Folders in which programs run: one for each frame, and what stays of it."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Container
from pathlib import Path
from typing import Literal

from ase import Atoms

from ..frames import from_atoms
from ..provenance import atomic_path


def run_folder(scratch: str, settings_hash: str, atoms: Atoms) -> Path:
    """New and empty folder of a frame below `scratch`, absolute."""
    name = from_atoms([atoms]).frame_ids()[0]
    folder = Path(scratch).resolve() / settings_hash / name
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed or failed
    folder.mkdir(parents=True)
    return folder


def tidy(
    folder: Path, ok: bool, keep: Literal["none", "failed", "all"], unpacked: Container[str] = ()
) -> None:
    """Remove the folder of a run, or leave what is to be kept of it.

    Parameters
    ----------
    folder : Path
    ok : bool
        Failed runs stay as they are unless `keep` is ``none``.
    keep : str
        With ``all`` a finished run becomes an archive beside its folder.
    unpacked : container of str
        Names of files that an archive must not hold.
    """
    if not ok and keep != "none":
        return
    if keep == "all":
        target = folder.with_suffix(".tar.gz")
        with atomic_path(target) as temporary, tarfile.open(temporary, "w:gz") as archive:
            for path in sorted(folder.iterdir()):
                if path.name not in unpacked:
                    archive.add(path, f"{folder.name}/{path.name}")
    shutil.rmtree(folder)
