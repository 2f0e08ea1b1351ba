"""``dp --pt`` of the teachers' environment: train, resume after a kill, freeze."""

from __future__ import annotations

import re
import subprocess
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ..deepmd.curve import learning_curve
from ..deepmd.process import check_finite, check_own_report, finish, follow, start
from ..progress import logger
from .curve import deepmd_curve

_CHECKPOINT = re.compile(r"model\.ckpt-(?P<step>\d+)\.pt$")


def last_checkpoint(work: Path) -> tuple[int, str]:
    """Step and name of the newest whole checkpoint, 0 if there is none; torn ones are removed."""
    whole = [(0, "")]
    for path in work.glob("model.ckpt-*.pt"):
        match = _CHECKPOINT.search(path.name)
        if match and zipfile.is_zipfile(path):
            whole.append((int(match["step"]), path.name))
        elif match:
            logger.debug("checkpoint %s is incomplete and removed", path)
            path.unlink()
    return max(whole)


def _start(
    python: Path, arguments: list[str], work: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    return start([str(python), "-I", "-m", "deepmd", "--pt", *arguments], work, environment)


def run_training(
    python: Path, work: Path, steps: int, environment: Mapping[str, str], key: str
) -> int:
    """Train by ``input.json`` in `work` to the end, or go on from the last checkpoint.

    Parameters
    ----------
    python : Path
        Of the teachers' environment.
    work : Path
    steps : int
    environment : mapping
        See :func:`.dp_environment.child_environment`.
    key : str
        Section of the settings, such as ``teacher.dpa``, for messages.

    Returns
    -------
    int
        Step from which the training went on, 0 if it started afresh.

    Raises
    ------
    StageError
        The child failed, was killed, or an error is no longer a number.
    """
    begin, checkpoint = last_checkpoint(work)
    if begin >= steps:
        logger.info("training of %d steps is already complete", steps)
        return begin
    arguments = ["train", "input.json", "--skip-neighbor-stat"]
    if begin:
        logger.info("resuming at step %d of %d from the last checkpoint", begin, steps)
        arguments += ["--restart", checkpoint]
    child = _start(python, arguments, work, environment)
    try:
        follow(child, begin, steps, partial(_look, work, key))
        if child.returncode:
            check_own_report(work, key)
    finally:
        child.kill()
        child.wait()
    finish(child, "teacher", "dp --pt train", work)
    return begin


def _look(work: Path, key: str) -> tuple[int, str]:
    """Last step so far and what to say about it; see `process.follow`."""
    check_finite(learning_curve(work), key)
    curve = deepmd_curve(work)
    if not curve:
        return 0, ""
    last = curve[-1]
    return last["step"], (
        f"validation RMSE force {last['force_meV_per_A']:.0f} meV/Å, "
        f"energy {last['energy_meV_per_atom']:.1f} meV/atom"
    )


def freeze(python: Path, work: Path, environment: Mapping[str, str]) -> Path:
    """Freeze the last checkpoint in `work`.

    Raises
    ------
    StageError
        ``dp --pt freeze`` failed.
    """
    _, checkpoint = last_checkpoint(work)
    frozen = work / "frozen.pth"
    child = _start(python, ["freeze", "-c", checkpoint, "-o", frozen.name], work, environment)
    finish(child, "teacher", "dp --pt freeze", work)
    return frozen
