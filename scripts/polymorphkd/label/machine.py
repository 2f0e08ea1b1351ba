"""Programs as child processes with a time limit, and whether a machine made one fail."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..processes import die_with_parent
from ..provenance import disk_full

MACHINE = {
    "out_of_memory": (
        "Allocation would exceed memory limit", "Cannot allocate memory", "oom-kill",
        "Out Of Memory", "out of memory", "insufficient virtual memory",
    ),
    "disk_full": ("No space left on device", "Disk quota exceeded", "File too large"),
    "node_failure": ("NODE FAILURE", "node failure", "Connection reset by peer"),
    "cancelled": ("DUE TO TIME LIMIT", "CANCELLED AT", "slurmstepd: error: *** STEP"),
}  # fmt: skip
"""Messages of the system around a program: the frame is not to blame."""

FROM_OUTSIDE = frozenset({1, 2, 6, 7, 9, 15})
"""Signals that come from the system or a person, or that a lack of memory raises."""

GRACE = 5.0
"""Seconds between the request to end and the kill."""


@dataclass(frozen=True)
class Ending:
    """How a program ended.

    Parameters
    ----------
    returncode : int
    timeout : bool
        Whether it was ended here, at its limit of time.
    """

    returncode: int
    timeout: bool


def ending(code: int, output: str, folder: Path) -> str:
    """How a program that writes into `folder` failed, for a message.

    ``exit status 1`` or ``killed by signal 9``, and after it what its machine did to it, so
    far as its output or the room that is left in `folder` shows: not every program says that
    its file could not be written.
    """
    text = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
    faults = machine_messages(output)
    if code > 0 and not faults and disk_full(folder):
        faults = ["disk_full"]
    return ", ".join([text, *(name.replace("_", " ") for name in faults)])


def fault(returncode: int | None, messages: Sequence[str]) -> str:
    """What went wrong around a program and not in it, empty for nothing.

    Parameters
    ----------
    returncode : int or None
    messages : sequence of str
        Names of what it printed; those in :data:`MACHINE` count.
    """
    found = [name for name in messages if name in MACHINE]
    code = returncode or 0
    # Shells and mpirun report a signal as 128 + its number.
    number = -code if code < 0 else code - 128 if 128 < code < 160 else 0
    if number in FROM_OUTSIDE:
        found.append(f"ended by signal {number}")
    return ", ".join(found)


def machine_messages(text: str) -> list[str]:
    """Names of the messages of :data:`MACHINE` in a text."""
    return [name for name, texts in MACHINE.items() if any(one in text for one in texts)]


def run_program(
    command: Sequence[str], folder: Path, limit: float, output: str, errors: str
) -> Ending:
    """Run a program in `folder`; it and its children end when this process does.

    Parameters
    ----------
    command : sequence of str
    folder : Path
    limit : float
        Wall time, s.
    output, errors : str
        Names of the files in `folder` that take what it prints.

    Raises
    ------
    OSError
        It cannot be started.
    """
    with (folder / output).open("wb") as out, (folder / errors).open("wb") as err:
        process = subprocess.Popen(
            list(command), cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            start_new_session=True, preexec_fn=die_with_parent,
        )  # fmt: skip
    try:
        return Ending(process.wait(limit), False)
    except subprocess.TimeoutExpired:
        _end(process)
        return Ending(process.returncode, True)
    finally:
        if process.poll() is None:  # an error or a signal of our own
            _end(process)


def _end(process: subprocess.Popen) -> None:
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # children may outlive the one that was started
    process.wait()
