"""``dp`` as a child process: train, follow, resume after a kill, freeze, compress."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ..deepmd.curve import learning_curve
from ..deepmd.process import check_finite, check_own_report, finish, follow, start
from ..errors import DivergedError
from ..processes import program, thread_environment
from ..progress import logger
from .checkpoints import last_checkpoint, usable_checkpoint
from .curve import forget_after

_KEY = "student.deepmd"


def _start(
    arguments: list[str], work: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    return start([program("dp"), "--tf", *arguments], work, environment)


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
    begin, checkpoint = usable_checkpoint(work)
    if begin >= steps:
        logger.info("training of %d steps is already complete", steps)
        return begin
    arguments = ["train", "input.json", "--skip-neighbor-stat"]
    if begin:
        logger.info("resuming at step %d of %d from the last checkpoint", begin, steps)
        arguments += ["--restart", checkpoint]
    elif weights is not None:
        trained = weights.resolve() / last_checkpoint(weights)[1]
        arguments += ["--init-model", str(trained)]
    forget_after(work, begin)
    child = _start(arguments, work, thread_environment(threads))
    try:
        follow(child, begin, steps, partial(_look, work))
        if child.returncode:
            check_own_report(work, _KEY)
    except DivergedError as error:
        child.kill()
        child.wait()
        raise DivergedError(f"{error}; {_kept(work)}") from None
    finally:
        child.kill()
        child.wait()
    finish(child, "student", "dp train", work)
    return begin


def _kept(work: Path) -> str:
    """What a diverged training left to go on from."""
    step, name = usable_checkpoint(work)
    if not step:
        return "there is no checkpoint from before"
    return f"the last good checkpoint, of step {step}, is kept as {work / name}"


def _look(work: Path) -> tuple[int, str]:
    """Last step so far and what to say about it; see `process.follow`."""
    curve = learning_curve(work)
    check_finite(curve, _KEY)
    if not curve["step"]:
        return 0, ""
    force = 1e3 * curve["force_valid_eV_per_A"][-1]
    return int(curve["step"][-1]), f"validation batch RMSE force {force:.0f} meV/Å"


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
        finish(_start(arguments, work, environment), "student", f"dp {arguments[0]}", work)
    return work / "frozen.pb", work / "compressed.pb"
