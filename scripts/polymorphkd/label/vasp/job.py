"""One frame's run of VASP under custodian, and what came of it."""

from __future__ import annotations

import logging
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from custodian.custodian import Custodian, CustodianError
from custodian.vasp.jobs import VaspJob

from ...errors import EngineError
from ...processes import die_with_parent
from ...settings import Vasp
from ..machine import fault
from .handlers import FrameTime, Frozen, SolverErrors, SolverUnconverged
from .messages import messages_of

POLL = 0.2
"""Seconds between two looks at whether the program has ended."""

LOOK = 5.0
"""Seconds between two looks at what a running program printed."""


@dataclass(frozen=True)
class Ending:
    """How the program ended.

    Parameters
    ----------
    returncode : int or None
    timeout : str
        Which limit was reached, empty for none.
    given_up : str
        Why custodian would not start it again, empty where it was content.
    messages : list of str
        Names of what was printed last.
    """

    returncode: int | None
    timeout: str
    given_up: str
    messages: list[str]

    @property
    def machine(self) -> str:
        """What went wrong around the program and not in it, empty for nothing."""
        return fault(self.returncode, self.messages)


class _Job(VaspJob):
    """Started as it is: no other executable for Gamma, no tuned parallel settings."""

    def run(self, directory: str = "./") -> subprocess.Popen:
        folder = Path(directory)
        for name in ("vasprun.xml", "OUTCAR"):
            # A start that dies at once must not be judged by the output of the one before.
            (folder / name).unlink(missing_ok=True)
        with (folder / "vasp.out").open("w") as out, (folder / "std_err.txt").open("w") as err:
            try:
                self._vasp_process = subprocess.Popen(
                    list(self.vasp_cmd), cwd=folder, stdout=out, stderr=err,
                    start_new_session=True, preexec_fn=die_with_parent,
                )  # fmt: skip
            except OSError as error:
                command = shlex.join(self.vasp_cmd)
                raise EngineError(f"label.vasp.command: {command}: {error}") from None
        return self._vasp_process

    def end(self) -> int | None:
        """Exit status; ends the program first where an error of our own left it running."""
        process = getattr(self, "_vasp_process", None)
        if process is None:
            return None
        if process.poll() is None:
            self.terminate()
        return process.poll()


def run_job(folder: Path, settings: Vasp) -> Ending:
    """Run VASP in `folder`, which holds its inputs, and mend what the solver can mend.

    Raises
    ------
    EngineError
        The command cannot be started.
    """
    logging.getLogger("custodian").setLevel(logging.CRITICAL)  # its story is in custodian.json
    job = _Job(shlex.split(settings.command), auto_gamma=False, backup=False)
    limits = (Frozen(timeout=settings.frozen_time), FrameTime(settings.frame_time, time.time()))
    shortest = min(settings.frozen_time, settings.frame_time)
    custodian = Custodian(
        [*limits, SolverErrors(), SolverUnconverged()],
        [job],
        max_errors=settings.max_corrections,
        polling_time_step=POLL,
        monitor_freq=max(1, round(min(LOOK, shortest / 4) / POLL)),
        directory=str(folder),
    )
    given_up, timeout = "", ""
    try:
        custodian.run()
    except CustodianError as error:
        corrections = custodian.run_log[-1]["corrections"]
        last = corrections[-1] if corrections else {"errors": [], "handler": None}
        if isinstance(last["handler"], Frozen | FrameTime):
            timeout = last["errors"][0]
        else:
            given_up = _why(last, len(corrections)) or str(error)
    finally:
        code = job.end()
    printed = [*messages_of(folder / "vasp.out"), *messages_of(folder / "std_err.txt")]
    return Ending(code, timeout, given_up, list(dict.fromkeys(printed)))


def _why(last: dict, n: int) -> str:
    errors = ", ".join(sorted(last["errors"]))
    if not errors:
        return ""
    if last.get("refused"):
        return f"{errors}; mending it would change {', '.join(last['refused'])}"
    if not last.get("actions"):
        return f"{errors}; no change of the solver is known to mend it"
    return f"{errors}; not mended by {n} changes of the solver"
