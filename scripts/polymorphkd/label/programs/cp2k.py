"""Labels from CP2K (Quickstep).

ASE drives CP2K through its shell, which hands out energies of an SCF that did not converge;
a run of its own says whether it did.  The energy holds the electronic entropy, so it is the
free energy.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.units
import numpy as np
from ase import Atoms
from ase.units import Bohr, GPa, Hartree

from ...provenance import file_digest
from ...settings import Cp2k
from .cp2k_input import sections, written
from .engine import OUTPUT, Numbers, ProgramEngine, Report
from .potentials import folder_of, folder_problem, link, missing_file
from .version import told_version

VARIABLE = "CP2K_DATA_DIR"
INPUT = "label.inp"
NUMBER = r"([-+]?\d[-+.\dEeDd]*)"
THREE = rf"\s+{NUMBER}\s+{NUMBER}\s+{NUMBER}"
UNITS = {"GPa": GPa, "bar": 1e-4 * GPa, "kbar": 0.1 * GPa, "Pa": ase.units.Pascal}
BOX = re.compile(r"\[ABORT\].*\n((?: \*[^*\n].*\n)+)")
ART = re.compile(r"^ \*\s*(?:\\___/|\||O/\||/\| \||/ \\)?\s*|\s*\*$")


class Cp2kEngine(ProgramEngine[Cp2k]):
    """CP2K as a program of its own."""

    name = "cp2k"
    title = "CP2K"
    arguments = ("-i", INPUT)
    ask_version = ("--version",)
    version_pattern = r"CP2K version (\S+)"

    @classmethod
    def elements(cls, settings: Cp2k) -> Sequence[str]:
        return list(settings.kinds)

    @classmethod
    def key_of_elements(cls) -> str:
        return f"label.{cls.name}.kinds"

    @classmethod
    def example(cls, symbol: str) -> str:
        return (
            f"for example kinds: {{{symbol}: {{basis: DZVP-MOLOPT-SR-GTH, potential: GTH-PBE}}}}"
        )

    @classmethod
    def file_problem(cls, settings: Cp2k) -> str | None:
        folder = _data(settings)
        if folder is None or not folder.is_dir():
            return folder_problem(cls.name, folder, VARIABLE)
        if problem := missing_file(cls.name, folder, _files(settings)):
            return problem
        for symbol, kind in settings.kinds.items():
            if not any(_holds(folder / file, symbol, kind.basis) for file in settings.basis_files):
                where = ", ".join(settings.basis_files)
                return f"label.cp2k.kinds: no basis set {kind.basis} for {symbol} in {where}"
            if not _holds(folder / settings.potential_file, symbol, kind.potential):
                where = settings.potential_file
                return f"label.cp2k.kinds: no potential {kind.potential} for {symbol} in {where}"
        return None

    def file_digests(self) -> dict[str, Any]:
        folder = _data(self.settings) or Path()
        return {name: file_digest(folder / name) for name in _files(self.settings)}

    def write(self, folder: Path, atoms: Atoms, sizes: tuple[int, int, int]) -> None:
        link(folder, _data(self.settings) or Path(), _files(self.settings))
        lines = written(sections(self.settings, atoms, sizes))
        (folder / INPUT).write_text("\n".join(lines) + "\n")

    def report(self, folder: Path, printed: str) -> Report:
        done = re.search(r"\*\*\* SCF run converged in\s+(\d+) steps", printed)
        failed = re.search(r"SCF run NOT converged", printed)
        box = BOX.search(printed)
        lines = [ART.sub("", line) for line in box[1].splitlines()] if box else []
        # The last line of the box is a place in the source.
        message = " ".join(line for line in lines if line and not re.search(r"\.F:\d+$", line))
        return Report(
            complete="PROGRAM ENDED AT" in printed,
            converged=failed is None if done or failed else None,
            scf_steps=int(done[1]) if done else None,
            message=message,
        )

    def numbers(self, folder: Path) -> Numbers:
        text = (folder / OUTPUT).read_text()
        energy = _last(r"ENERGY\| Total FORCE_EVAL \( QS \) energy \[[^]]*\]:?\s+(\S+)", text)
        entropic = re.findall(r"Electronic entropic energy:\s+(\S+)", text)
        forces = _forces(text)
        header = re.search(r"STRESS\| Analytical stress tensor \[(\w+)\]", text)
        if header is None:
            raise ValueError("no stress")
        rows = re.findall(rf"(?m)^ STRESS\| +[xyz]{THREE}\s*$", text[header.end() :])[:3]
        # CP2K's sign is that of a pressure.
        tensor = -np.array(rows, dtype=float) * UNITS[header[1]]
        return Numbers(
            float(energy) * Hartree,
            forces * Hartree / Bohr,
            tensor[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
            -float(entropic[-1]) * Hartree if entropic else None,
        )


def _forces(text: str) -> np.ndarray:
    """Forces of the last table, Hartree/bohr, in the format of 2023.1 or of later versions."""
    marks = ("FORCES| Atomic forces [hartree/bohr]", "ATOMIC FORCES in [a.u.]")
    table = text[max(text.rfind(mark) for mark in marks) :]
    later = re.findall(rf"(?m)^ FORCES\| +\d+{THREE}\s+{NUMBER}\s*$", table)
    found = [row[:3] for row in later] or re.findall(rf"(?m)^ +\d+ +\d+ +\S+{THREE}\s*$", table)
    return np.array(found, dtype=float).reshape(-1, 3)


def _last(pattern: str, text: str) -> str:
    return str(re.findall(pattern, text)[-1])


def _files(settings: Cp2k) -> list[str]:
    return sorted({*settings.basis_files, settings.potential_file})


def _data(settings: Cp2k) -> Path | None:
    """Folder of basis sets and potentials; without a word from the user the program's own."""
    if found := folder_of(settings.potential_folder, VARIABLE):
        return found
    words = [word for word in shlex.split(settings.command) if shutil.which(word)]
    if words:
        # Where the program was built to look, as far as it tells.
        told = told_version(settings.command, ("--version",), r'__DATA_DIR="?\s*([^"]+)"')
        program = Path(shutil.which(words[-1]) or "").resolve()
        shares = [program.parent.parent / "share/cp2k", program.parent.parent / "share/cp2k/data"]
        for folder in (*([Path(told)] if told else []), *shares):
            if (folder / settings.potential_file).is_file():
                return folder
    return None


def _holds(path: Path, symbol: str, name: str) -> bool:
    """Whether a file has an entry for this element under this name."""
    entry = re.compile(rf"^\s*{symbol}\s+(?:.*\s)?{re.escape(name)}(?:\s|$)", re.MULTILINE)
    return entry.search(path.read_text(errors="replace")) is not None
