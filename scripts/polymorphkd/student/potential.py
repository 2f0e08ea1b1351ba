"""``potential.lmp``: the lines of a LAMMPS input that set a student, whatever its family.

It is what the workflow knows of a model: it names the files beside it with their digests, so
it changes when they do.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..provenance import atomic_path, file_digest, version_of

NAME = "potential.lmp"

FILES = {"deepmd": ("model.pb", "frozen.pb"), "pod": ("model.pod", "coefficients.pod")}
"""Files of a model by family: those of another one are removed when a student changes its kind."""

_FILE = re.compile(r"^#   (?P<file>\S+) (?P<digest>[0-9a-f]+)$", re.MULTILINE)


def write_potential(
    folder: Path, style: str, files: Sequence[str], elements: Sequence[str]
) -> None:
    """Write ``potential.lmp`` into the folder of a trained student.

    Files of a model of another family, which the folder held before, are removed.

    Parameters
    ----------
    folder : Path
        Holds `files`.
    style : str
        Pair style of LAMMPS, which has the name of the family.
    files : sequence of str
        Names of what the style reads.
    elements : sequence of str
        Types, in order.
    """
    named = "".join(f"#   {file} {file_digest(folder / file)}\n" for file in files)
    if style == "deepmd":  # the file stands beside the style
        lines = [f"pair_style {style} {' '.join(files)}", f"pair_coeff * * {' '.join(elements)}"]
    else:
        lines = [f"pair_style {style}", f"pair_coeff * * {' '.join([*files, *elements])}"]
    with atomic_path(folder / NAME) as path:
        path.write_text(
            "# For `include` in a LAMMPS input of units metal, after its box; needs beside it:\n"
            + named
            + "\n".join(lines)
            + "\n"
        )
    for family, others in FILES.items():
        for file in others if family != style else ():
            (folder / file).unlink(missing_ok=True)


def files_of(potential: Path) -> list[Path]:
    """``potential.lmp`` and the files that it needs, all in one folder.

    Raises
    ------
    InputError
        It is not there or names nothing, or a file that it names is not the one that was trained.
    """
    if not potential.is_file():
        raise InputError(f"{potential}: no such file; train the student first")
    named = _FILE.findall(potential.read_text())
    if not named:
        raise InputError(f"{potential}: names no file of a model; train the student again")
    for name, digest in named:
        path = potential.with_name(name)
        if not path.is_file() or file_digest(path) != digest:
            raise InputError(
                f"{path}: {'changed since it was trained' if path.is_file() else 'no such file'}; "
                f"bring it back, or remove {potential.name} beside it and run snakemake, which "
                "trains the student again"
            )
    return [potential, *(potential.with_name(name) for name, _ in named)]


def requirement(potential: Path) -> str:
    """What a LAMMPS needs for it, in words.

    Raises
    ------
    InputError
        See :func:`files_of`.
    """
    files_of(potential)
    if "pair_style deepmd" in potential.read_text():
        return f"the plugin of DeePMD-kit {version_of('deepmd-kit')} or later"
    return "the package ML-POD"


def copy_potential(potential: Path, folder: Path) -> None:
    """Copy what LAMMPS needs of a student into another folder."""
    for path in files_of(potential):
        shutil.copyfile(path, folder / path.name)
