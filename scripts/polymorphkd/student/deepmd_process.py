"""``dp`` as a child process: train, follow, resume after a kill, freeze, compress."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ..errors import DivergedError, StageError
from ..label.machine import ending
from ..processes import die_with_parent, program, thread_environment
from ..progress import Counter, logger
from .checkpoints import last_checkpoint, usable_checkpoint
from .curve import forget_after, learning_curve

_MARK = "----- dp "

TAIL = 10_000
"""Characters at the end of ``dp.log`` that may tell why a program failed."""

_POLL_SECONDS = 1.0
_NAN = re.compile(r"NaN detected at batch\s+(?P<step>\d+)")


def _start(
    arguments: list[str], work: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    with (work / "dp.log").open("ab") as log:
        log.write(f"{_MARK}{' '.join(arguments)}\n".encode())
        log.flush()
        return subprocess.Popen(
            [program("dp"), "--tf", *arguments],
            cwd=work,
            env=dict(environment),
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )


def _output(work: Path) -> str:
    """What the last program printed; the log keeps all that ran in this folder."""
    text = (work / "dp.log").read_text(errors="replace")
    return text.rpartition(_MARK)[2].partition("\n")[2]


def _last_line(work: Path) -> str:
    lines = _output(work).splitlines()
    telling = [line.strip() for line in lines if line.strip() and "libcudart" not in line]
    return telling[-1] if telling else "no output"


def _finish(child: subprocess.Popen[bytes], what: str, work: Path) -> None:
    code = child.wait()
    if code:
        why = ending(code, _output(work)[-TAIL:], work)
        raise StageError(
            f"student: {what} failed ({why}): {_last_line(work)} (all of it in {work / 'dp.log'})"
        )


def _check_own_report(work: Path) -> None:
    """DeePMD-kit looks for NaN itself, and ends: see whether that is why it did."""
    found = _NAN.search(_last_line(work))
    if found:
        raise _diverged(int(found["step"]))


def _diverged(step: float) -> DivergedError:
    return DivergedError(
        f"student: the training diverged: at step {step:.0f} the training error is "
        "not a number; lower student.deepmd.learning_rate or check the labels"
    )


def _check_finite(curve: Mapping[str, list[float]]) -> None:
    # Not the virial: it is NaN for a batch whose frames have none.
    for name in ("energy_train_eV_per_atom", "force_train_eV_per_A"):
        for step, value in zip(curve["step"], curve.get(name, []), strict=False):
            if not math.isfinite(value):
                raise _diverged(step)


def run_training(work: Path, steps: int, threads: int, weights: Path | None = None) -> int:
    """Run ``dp train input.json`` in `work` to its end, or go on from the last checkpoint.

    Parameters
    ----------
    work : Path
    steps : int
    threads : int
    weights : Path, optional
        Folder of a finished training from whose last checkpoint this one starts.

    Returns
    -------
    int
        Step from which the training went on, 0 if it started afresh.

    Raises
    ------
    StageError
        The child failed, was killed, or an error is no longer a number.
    """
    start, checkpoint = usable_checkpoint(work)
    if start >= steps:
        logger.info("training of %d steps is already complete", steps)
        return start
    arguments = ["train", "input.json", "--skip-neighbor-stat"]
    if start:
        logger.info("resuming at step %d of %d from the last checkpoint", start, steps)
        arguments += ["--restart", checkpoint]
    elif weights is not None:
        trained = weights.resolve() / last_checkpoint(weights)[1]
        arguments += ["--init-model", str(trained)]
    forget_after(work, start)
    child = _start(arguments, work, thread_environment(threads))
    try:
        _follow(child, work, start, steps)
        if child.returncode:
            _check_own_report(work)
    except DivergedError as error:
        child.kill()
        child.wait()
        raise DivergedError(f"{error}; {_kept(work)}") from None
    finally:
        child.kill()
        child.wait()
    _finish(child, "dp train", work)
    return start


def _kept(work: Path) -> str:
    """What a diverged training left to go on from."""
    step, name = usable_checkpoint(work)
    if not step:
        return "there is no checkpoint from before"
    return f"the last good checkpoint, of step {step}, is kept as {work / name}"


def _follow(child: subprocess.Popen[bytes], work: Path, start: int, steps: int) -> None:
    counter: Counter | None = None  # made at the first line: start-up would spoil the rate
    ended = False
    while not ended:
        try:
            child.wait(timeout=_POLL_SECONDS)
            ended = True
        except subprocess.TimeoutExpired:
            pass
        curve = learning_curve(work)
        _check_finite(curve)
        done = int(curve["step"][-1]) - start if curve["step"] else 0
        if counter is None and done > 0:
            counter = Counter(steps - start, "steps")
        if counter is not None and done > counter.done:
            force = 1e3 * curve["force_valid_eV_per_A"][-1]
            counter.step(done - counter.done, f"validation batch RMSE force {force:.0f} meV/Å")


def freeze_and_compress(work: Path, threads: int) -> tuple[Path, Path]:
    """Freeze the last checkpoint in `work` and tabulate its embedding net.

    Returns
    -------
    tuple of Path
        The frozen and the compressed model.

    Raises
    ------
    StageError
        ``dp freeze`` or ``dp compress`` failed.
    """
    environment = thread_environment(threads)
    shutil.rmtree(work / "model-compression", ignore_errors=True)
    for arguments in (
        ["freeze", "-o", "frozen.pb"],
        ["compress", "-i", "frozen.pb", "-o", "compressed.pb", "-t", "input.json"],
    ):
        _finish(_start(arguments, work, environment), f"dp {arguments[0]}", work)
    return work / "frozen.pb", work / "compressed.pb"
