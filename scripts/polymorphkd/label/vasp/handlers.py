"""Custodian's corrections, as far as they leave the physics alone.

Custodian knows many ways to make a run finish.  Those that change the Hamiltonian, the
smearing or the k-points would put labels of different methods into one set, so whatever a
correction does to the inputs is compared with what is allowed, and taken back if it goes
further: the frame is then given up.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from custodian.custodian import ErrorHandler
from custodian.vasp.handlers import (
    FrozenJobErrorHandler,
    UnconvergedErrorHandler,
    VaspErrorHandler,
)
from pymatgen.io.vasp import Incar

SOLVER_TAGS = frozenset(
    {
        *("ALGO", "IALGO", "AMIX", "BMIX", "AMIX_MAG", "BMIX_MAG", "AMIN", "IMIX", "MAXMIX"),
        *("NELM", "NELMIN", "NELMDL", "TIME", "ISEARCH", "ISTART", "ICHARG", "NBANDS"),
        *("NCORE", "NPAR", "KPAR", "NSIM", "LPLANE", "LSCALAPACK", "SYMPREC"),
    }
)
"""Tags that decide how the ground state is found and not what it is."""

HARMLESS = ("subspacematrix", "auto_nbands")
"""Messages that a run may well survive; whether it did is seen from its output."""

INPUTS = ("INCAR", "KPOINTS", "POSCAR", "POTCAR")


def changed_tags(before: Incar, after: Incar) -> set[str]:
    """Tags that were set, removed or changed."""
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


class _SolverOnly:
    """Mixed into a handler of custodian: takes back what changes more than the solver."""

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Let custodian correct, and give up where it goes too far or nowhere."""
        folder = Path(directory)
        before = {name: (folder / name).read_bytes() for name in INPUTS}
        tags = Incar.from_file(folder / "INCAR")
        try:
            done: dict[str, Any] = super().correct(directory)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001  (it reads outputs that may not be there)
            done = {"errors": sorted(getattr(self, "errors", ())) or [str(error)], "actions": None}
        changed = changed_tags(tags, Incar.from_file(folder / "INCAR"))
        others = {name for name in INPUTS[1:] if (folder / name).read_bytes() != before[name]}
        beyond = (changed - SOLVER_TAGS) | others
        if beyond or not changed:
            for name, content in before.items():
                (folder / name).write_bytes(content)
            return {**done, "actions": None, "refused": sorted(beyond)}
        return done


class SolverErrors(_SolverOnly, VaspErrorHandler):
    """Messages that VASP prints."""

    def __init__(self, output_filename: str = "vasp.out") -> None:
        names = [name for name in VaspErrorHandler.error_msgs if name not in HARMLESS]
        super().__init__(output_filename, errors_subset_to_catch=names)
        self.logger.setLevel(logging.CRITICAL)  # the story is in custodian.json


class SolverUnconverged(_SolverOnly, UnconvergedErrorHandler):
    """A run that ended without convergence."""


class Frozen(FrozenJobErrorHandler):
    """A program that says nothing more; it is ended, and another run may do better."""

    def correct(self, directory: str = "./") -> dict[str, Any]:
        return {"errors": [f"no output for {self.timeout:g} s"], "actions": None}


class FrameTime(ErrorHandler):
    """A frame that takes longer than it may."""

    is_monitor = True

    def __init__(self, limit: float, started: float) -> None:
        self.limit, self.started = limit, started

    def check(self, directory: str = "./") -> bool:
        return time.time() - self.started > self.limit

    def correct(self, directory: str = "./") -> dict[str, Any]:
        return {"errors": [f"took longer than {self.limit:g} s"], "actions": None}
