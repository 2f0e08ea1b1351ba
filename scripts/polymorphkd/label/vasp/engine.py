"""Labels from VASP: one folder, one static run and one verdict per frame.

What brings pymatgen and custodian is imported on use: together they cost seconds, which
every start of the workflow would pay.
"""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from ...errors import EngineError
from ...provenance import digest
from ...settings import Vasp
from ..result import Result, open_boundary
from ..scratch import run_folder, tidy
from .output import VaspOutput, judge

if TYPE_CHECKING:
    from .job import Ending


class VaspEngine:
    """VASP as a program of its own; energies are free energies, as forces and stress need."""

    title = "VASP"

    def __init__(self, settings: Vasp) -> None:
        self.settings = settings
        self._seen = ""

    @property
    def version(self) -> str:
        """Program and version, as the last output told it; before any, the main version."""
        return f"vasp {self._seen or self.settings.version}"

    @cached_property
    def settings_hash(self) -> str:
        """Digest of INCAR, mesh, potentials and main version; not of how it is started."""
        from .inputs import decisive, potential_digests

        return digest(
            {
                "engine": f"vasp {self.settings.version}",
                "incar": decisive(self.settings),
                "kspacing": self.settings.kspacing,
                "potentials": potential_digests(self.settings),
            }
        )

    def calculate(self, atoms: Atoms, mesh_cell: np.ndarray | None = None) -> Result:
        """Label one configuration; failures become statuses.

        Raises
        ------
        EngineError
            The program cannot be started or is of another main version, so that no frame
            would fare better.
        """
        from .inputs import write_inputs
        from .job import run_job
        from .xml import read_xml

        started = time.monotonic()
        if (refused := open_boundary(atoms)) is not None:
            return refused
        absent = sorted(set(atoms.get_chemical_symbols()) - set(self.settings.potentials))
        if absent:
            raise EngineError(f"label.vasp.potentials: names no POTCAR for {', '.join(absent)}")
        folder = run_folder(self.settings.scratch, self.settings_hash, atoms)
        order = write_inputs(folder, atoms, self.settings, mesh_cell)
        ending = run_job(folder, self.settings)
        output = read_xml(folder / "vasprun.xml")
        self._check_version(output)
        result = _result(ending, output, order, time.monotonic() - started)
        # POTCARs are licensed, and known by their titles.
        tidy(folder, result.status == "ok", self.settings.keep, unpacked={"POTCAR"})
        return result

    def _check_version(self, output: VaspOutput) -> None:
        if output.settings is None:
            return
        self._seen = output.settings.version
        if self._seen.split(".")[0] != self.settings.version:
            raise EngineError(
                f"label.vasp.version: is {self.settings.version}, but the program is "
                f"{self._seen}; labels of both must not meet"
            )

    @classmethod
    def problem(cls, settings: Vasp, elements: Sequence[str]) -> str | None:
        """Missing program or potentials, with what to do about it; or None."""
        words = shlex.split(settings.command)
        if shutil.which(words[0]) is None:
            return (
                f"label.vasp.command: {words[0]}: no such program; VASP is licensed and not part "
                "of the environment, load its module or name the command that starts it"
            )
        from .inputs import potential_problem

        return potential_problem(settings, elements)


def _result(ending: Ending, output: VaspOutput, order: np.ndarray, seconds: float) -> Result:
    """The verdict on one run, from how it ended and what it wrote."""
    # What was finished before a limit struck is as good as any.
    if ending.timeout and not output.complete:
        return Result("timeout", ending.timeout, seconds)
    if output.complete and output.steps:
        step = output.steps[-1]
        status, reason = judge(output, step)
        if ending.given_up and status == "ok":
            # Finished, but with an error that spoils the numbers, such as too few bands.
            return Result("crashed", ending.given_up, seconds)
        if status == "ok" and step.stress is None:
            return Result("crashed", "the output holds no stress", seconds)
        if status != "ok":
            return Result(status, reason, seconds, scf_steps=step.n_scf)
        assert step.forces is not None
        forces = np.empty_like(step.forces)
        forces[order] = step.forces
        return Result(
            "ok", "", seconds, step.energy, forces, step.stress, step.n_scf,
            energy_zero=step.energy_zero, entropy=step.entropy,
        )  # fmt: skip
    if ending.machine:
        return Result("crashed", ending.machine, seconds, infrastructure=True)
    if ending.given_up and ending.messages:
        return Result("crashed", ending.given_up, seconds)
    if not output.path.is_file():
        reason = f"exit status {ending.returncode} before any output was written"
        return Result("crashed", reason, seconds, infrastructure=True)
    if ending.returncode:
        return Result("crashed", f"exit status {ending.returncode} in mid-run", seconds)
    return Result("truncated", "vasprun.xml ends too early", seconds)
