"""What all engines share that start a program of its own for each frame.

ASE writes inputs and reads numbers where it does so exactly.  The run itself is not left to
its calculators: they know no limit of time, take an output without converged SCF for a
result and give one kind of error for whatever went wrong.
"""

from __future__ import annotations

import shlex
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from ase import Atoms

from ...errors import EngineError
from ...provenance import digest
from ...settings import Program
from ..machine import Ending, fault, machine_messages, run_program
from ..mesh import mesh
from ..result import ZERO_WIDTH, Result, open_boundary
from ..scratch import run_folder, tidy
from .version import missing, told_version

OUTPUT, ERRORS = "program.out", "program.err"
"""Files that take what the program prints."""

RUNNING = frozenset({"command", "potential_folder", "frame_time", "scratch", "keep"})
"""Keys that decide where and how long a program runs, and no label."""

S = TypeVar("S", bound=Program)


@dataclass(frozen=True)
class Numbers:
    """What a converged run found, in the units and signs of :class:`Result`."""

    energy: float
    forces: np.ndarray
    stress: np.ndarray
    entropy: float | None = None


@dataclass(frozen=True)
class Report:
    """How a run went, as its output tells it.

    Parameters
    ----------
    complete : bool
        The program came to its regular end.
    converged : bool or None
        What it says about the SCF; None where it says nothing.
    scf_steps : int or None
    message : str
        With which error it gave up, empty for none.
    """

    complete: bool
    converged: bool | None
    scf_steps: int | None
    message: str


class ProgramEngine(ABC, Generic[S]):
    """One folder, one run and one verdict per frame."""

    name: ClassVar[str]
    title: ClassVar[str]
    arguments: ClassVar[tuple[str, ...]]
    """Words that follow the command of a run."""
    ask_version: ClassVar[tuple[str, ...]]
    """Words that follow the program when it is asked for its version."""
    version_pattern: ClassVar[str]

    def __init__(self, settings: S) -> None:
        self.settings = settings

    @cached_property
    def version(self) -> str:
        """Program and version, as it tells it."""
        found = told_version(self.settings.command, self.ask_version, self.version_pattern)
        if found is None:
            raise EngineError(f"label.{self.name}.command: the program does not tell its version")
        return f"{self.name} {found}"

    @cached_property
    def settings_hash(self) -> str:
        """Digest of version, settings and the contents of the potentials."""
        values = self.settings.model_dump(mode="json", exclude=set(RUNNING))
        return digest({"engine": self.version, **values, "files": self.file_digests()})

    def calculate(self, atoms: Atoms, mesh_cell: np.ndarray | None = None) -> Result:
        """Label one configuration; failures become statuses.

        Raises
        ------
        EngineError
            The program cannot be started or an element has no potential, so that no frame
            would fare better.
        """
        started = time.monotonic()
        if (refused := open_boundary(atoms)) is not None:
            return refused
        absent = sorted(set(atoms.get_chemical_symbols()) - set(self.elements(self.settings)))
        if absent:
            raise EngineError(f"{self.key_of_elements()}: names nothing for {', '.join(absent)}")
        cell = atoms.cell.array if mesh_cell is None else mesh_cell
        folder = run_folder(self.settings.scratch, self.settings_hash, atoms)
        self.write(folder, _bare(atoms), mesh(cell, atoms.pbc, self.settings.kspacing))
        command = [*shlex.split(self.settings.command), *self.arguments]
        try:
            ending = run_program(command, folder, self.settings.frame_time, OUTPUT, ERRORS)
        except OSError as error:
            where = f"label.{self.name}.command"
            raise EngineError(f"{where}: {self.settings.command}: {error}") from None
        result = self._verdict(folder, ending, len(atoms), time.monotonic() - started)
        tidy(folder, result.status == "ok", self.settings.keep)
        return result

    def _verdict(self, folder: Path, ending: Ending, n_atoms: int, seconds: float) -> Result:
        printed = "\n".join(_text(folder / name) for name in (OUTPUT, ERRORS))
        report = self.report(folder, printed)
        steps = report.scf_steps
        # What was finished before a limit struck is as good as any.
        if report.complete and report.converged:
            return self._numbers(folder, n_atoms, steps, seconds)
        if ending.timeout:
            return Result("timeout", f"took longer than {self.settings.frame_time:g} s", seconds)
        if report.converged is False:
            reason = f"not converged in {steps or self.settings.max_scf_steps} SCF steps"
            return Result("unconverged", reason, seconds, scf_steps=steps)
        # A program that gives up with a message may do so by a signal of its own.
        code = None if report.message else ending.returncode
        if machine := fault(code, machine_messages(printed)):
            return Result("crashed", machine, seconds, infrastructure=True)
        if report.message:
            return Result("crashed", report.message, seconds)
        if not printed.strip():
            reason = f"exit status {ending.returncode} before any output was written"
            return Result("crashed", reason, seconds, infrastructure=True)
        if ending.returncode:
            return Result("crashed", f"exit status {ending.returncode} in mid-run", seconds)
        if report.complete:
            return Result("unconverged", "the output does not say that the SCF converged", seconds)
        return Result("truncated", "the output ends too early", seconds)

    def _numbers(self, folder: Path, n_atoms: int, steps: int | None, seconds: float) -> Result:
        try:
            found = self.numbers(folder)
        except Exception as error:  # noqa: BLE001  (whatever stands in the output of one frame)
            reason = f"the output cannot be read: {type(error).__name__}: {error}"
            return Result("crashed", " ".join(reason.split()), seconds)
        if found.forces.shape != (n_atoms, 3):
            return Result("crashed", f"{len(found.forces)} forces on {n_atoms} atoms", seconds)
        share = ZERO_WIDTH.get(getattr(self.settings, "smearing", "fermi-dirac"))
        zero = None
        if found.entropy is not None and share is not None:
            zero = found.energy + share * found.entropy
        return Result(
            "ok", "", seconds, found.energy, found.forces, found.stress, steps,
            energy_zero=zero, entropy=found.entropy,
        )  # fmt: skip

    @classmethod
    def problem(cls, settings: S, elements: Sequence[str]) -> str | None:
        """Missing program, potential or file, with what to do about it; or None."""
        where = f"label.{cls.name}.command"
        if word := missing(settings.command):
            return (
                f"{where}: {word}: no such program; install it, load its module or name the "
                "command that starts it"
            )
        if told_version(settings.command, cls.ask_version, cls.version_pattern) is None:
            return f"{where}: {settings.command}: does not tell its version; is it {cls.title}?"
        for symbol in elements:
            if symbol not in cls.elements(settings):
                return (
                    f"{cls.key_of_elements()}: names nothing for {symbol}; {cls.example(symbol)}"
                )
        return cls.file_problem(settings)

    @classmethod
    @abstractmethod
    def elements(cls, settings: S) -> Sequence[str]:
        """Elements that the settings name a potential for."""

    @classmethod
    def key_of_elements(cls) -> str:
        """Path of the key that names them."""
        return f"label.{cls.name}.potentials"

    @classmethod
    @abstractmethod
    def example(cls, symbol: str) -> str:
        """How an element may be named, for messages."""

    @classmethod
    @abstractmethod
    def file_problem(cls, settings: S) -> str | None:
        """Which file of the settings is missing and what to do about it, or None."""

    @abstractmethod
    def file_digests(self) -> dict[str, Any]:
        """Digest of every file that decides the numbers."""

    @abstractmethod
    def write(self, folder: Path, atoms: Atoms, sizes: tuple[int, int, int]) -> None:
        """Write the input of a static run on a k-point mesh of these sizes."""

    @abstractmethod
    def report(self, folder: Path, printed: str) -> Report:
        """How a run went."""

    @abstractmethod
    def numbers(self, folder: Path) -> Numbers:
        """Read a run that is complete and converged; errors of any kind may be raised."""


def _bare(atoms: Atoms) -> Atoms:
    """Structure alone, in a right-handed cell of the same lattice, as programs want it."""
    cell = atoms.cell.array.copy()
    if np.linalg.det(cell) < 0:
        cell[2] *= -1
    return Atoms(atoms.get_chemical_symbols(), atoms.positions, cell=cell, pbc=True)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""
