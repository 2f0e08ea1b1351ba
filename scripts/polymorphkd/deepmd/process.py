"""DeePMD-kit as a child process: started, followed, judged by how it ended."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DivergedError, StageError
from ..label.machine import ending
from ..processes import die_with_parent
from ..progress import Counter, logger
from .curve import TRAINED, VALID

LOG = "dp.log"
"""File in the working folder with everything that the child prints."""

_MARK = "----- dp "

TAIL = 10_000
"""Characters at the end of the log that may tell why a program failed."""

_POLL_SECONDS = 1.0
_NAN = re.compile(r"NaN detected at batch\s+(?P<step>\d+)")
_NOISE = ("libcudart", "cuequivariance")  # lines about what is not installed


def start(
    command: Sequence[str], work: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start `command` in the folder `work`; it dies with this process."""
    with (work / LOG).open("ab") as log:
        log.write(f"{_MARK}{' '.join(command)}\n".encode())
        log.flush()
        return subprocess.Popen(
            list(command),
            cwd=work,
            env=dict(environment),
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )


def output(work: Path) -> str:
    """What the last program printed; the log keeps all that ran in this folder."""
    text = (work / LOG).read_text(errors="replace")
    return text.rpartition(_MARK)[2].partition("\n")[2]


def last_line(work: Path) -> str:
    """Last telling line of what the last program printed."""
    lines = output(work).splitlines()
    telling = [
        line.strip()
        for line in lines
        if line.strip() and not any(noise in line for noise in _NOISE)
    ]
    return telling[-1] if telling else "no output"


@dataclass(frozen=True)
class Program:
    """DeePMD-kit of one environment and backend, at work in a folder.

    Parameters
    ----------
    command : sequence of str
        What comes before the arguments.
    name : str
        What messages call it, such as ``dp --pt``.
    work : Path
    environment : mapping
    key : str
        Section of the settings, such as ``student.deepmd``, for messages.
    """

    command: Sequence[str]
    name: str
    work: Path
    environment: Mapping[str, str]
    key: str

    @property
    def stage(self) -> str:
        """``teacher`` or ``student``, which messages begin with."""
        return self.key.partition(".")[0]

    def run(self, *arguments: str) -> None:
        """Run to the end; StageError if it failed or was killed."""
        child = start([*self.command, *arguments], self.work, self.environment)
        finish(child, self.stage, f"{self.name} {arguments[0]}", self.work)

    def train(
        self,
        steps: int,
        found: tuple[int, str],
        look: Callable[[], tuple[int, str]],
        fresh: Sequence[str] = (),
    ) -> int:
        """Train by ``input.json`` to the end, or go on from a checkpoint.

        Parameters
        ----------
        steps : int
        found : (int, str)
            Step and name of the last checkpoint, 0 for none.
        look : callable
            See :func:`follow`.
        fresh : sequence of str
            Arguments of a training without a checkpoint.

        Returns
        -------
        int
            Step from which the training went on, 0 if it started afresh.

        Raises
        ------
        StageError
            The child failed, was killed, or an error is no longer a number.
        """
        begin, checkpoint = found
        if begin >= steps:
            logger.info("training of %d steps is already complete", steps)
            return begin
        if begin:
            logger.info("resuming at step %d of %d from the last checkpoint", begin, steps)
        more = ["--restart", checkpoint] if begin else fresh
        arguments = ["train", "input.json", "--skip-neighbor-stat", *more]
        child = start([*self.command, *arguments], self.work, self.environment)
        try:
            follow(child, begin, steps, look)
            if child.returncode:
                check_own_report(self.work, self.key)
        finally:
            child.kill()
            child.wait()
        finish(child, self.stage, f"{self.name} train", self.work)
        return begin


def finish(child: subprocess.Popen[bytes], stage: str, what: str, work: Path) -> None:
    """Wait for the child.

    Parameters
    ----------
    child : Popen
    stage : str
        ``teacher`` or ``student``, which the message begins with.
    what : str
        The program, such as ``dp train``.
    work : Path

    Raises
    ------
    StageError
        It failed or was killed.
    """
    code = child.wait()
    if code:
        why = ending(code, output(work)[-TAIL:], work)
        raise StageError(
            f"{stage}: {what} failed ({why}): {last_line(work)} (all of it in {work / LOG})"
        )


def check_finite(
    curve: Mapping[str, list[float]], key: str, lacking: Collection[str] = ()
) -> None:
    """Raise DivergedError if an error of the curve is not a number.

    Parameters
    ----------
    curve : mapping
        See :func:`.curve.learning_curve`.
    key : str
        Section of the settings, such as ``student.deepmd``, for the message.
    lacking : collection of str
        Errors of energies or forces that some batches do not have, because a teacher does not
        teach these.  Virials may always lack.
    """
    # Of a training batch an error is NaN as well where its frames lack that label, but none
    # lacks all of them; no frame of the validation lacks a force.
    trained = [curve[name] for name in TRAINED if name in curve]
    needed = [curve[name] for name in TRAINED[:2] if name in curve and name not in lacking]
    for row, step in enumerate(curve["step"]):
        lost = trained and not any(math.isfinite(errors[row]) for errors in trained)
        lost = lost or not all(math.isfinite(errors[row]) for errors in needed)
        if lost or not math.isfinite(curve[VALID][row] if VALID in curve else 0.0):
            raise _diverged(step, key)


def check_own_report(work: Path, key: str) -> None:
    """DeePMD-kit looks for NaN itself, and ends: raise DivergedError if that is why it did."""
    found = _NAN.search(last_line(work))
    if found:
        raise _diverged(int(found["step"]), key)


def _diverged(step: float, key: str) -> DivergedError:
    return DivergedError(
        f"{key.partition('.')[0]}: the training diverged: at step {step:.0f} the error "
        f"is not a number; lower {key}.learning_rate or check the labels"
    )


def follow(
    child: subprocess.Popen[bytes], begin: int, steps: int, look: Callable[[], tuple[int, str]]
) -> None:
    """Show progress until the child has ended.

    Parameters
    ----------
    child : Popen
    begin, steps : int
        First step of this run, and the last.
    look : callable
        Gives the last step so far (0 for none) and a note; may raise to end the training.
    """
    counter: Counter | None = None  # made at the first line: start-up would spoil the rate
    ended = False
    while not ended:
        try:
            child.wait(timeout=_POLL_SECONDS)
            ended = True
        except subprocess.TimeoutExpired:
            pass
        last, note = look()
        done = last - begin
        if counter is None and done > 0:
            counter = Counter(steps - begin, "steps")
        if counter is not None and done > counter.done:
            counter.step(done - counter.done, note)
