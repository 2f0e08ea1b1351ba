"""``dp --pt`` of the teachers' environment: train, resume after a kill, freeze."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ..deepmd.curve import learning_curve
from ..deepmd.process import Program, check_finite
from .curve import deepmd_curve

_CHECKPOINT = re.compile(r"model\.ckpt-(?P<step>\d+)\.pt$")


def last_checkpoint(work: Path) -> tuple[int, str]:
    """Step and name of the newest whole checkpoint, 0 if there is none."""
    whole = [(0, "")]
    for path in work.glob("model.ckpt-*.pt"):
        match = _CHECKPOINT.search(path.name)
        if match and zipfile.is_zipfile(path):
            whole.append((int(match["step"]), path.name))
    return max(whole)


def program_of(python: Path, work: Path, environment: Mapping[str, str], key: str) -> Program:
    """DeePMD-kit's PyTorch backend in the teachers' environment.

    Parameters
    ----------
    python : Path
        Of that environment.
    work : Path
    environment : mapping
        See :func:`.dp_environment.child_environment`.
    key : str
        Section of the settings, such as ``teacher.dpa``, for messages.
    """
    command = [str(python), "-I", "-m", "deepmd", "--pt"]
    return Program(command, "dp --pt", work, environment, key)


def run_training(program: Program, steps: int) -> int:
    """Train by ``input.json`` to the end, or go on from the last checkpoint; see `.train`."""
    work = program.work
    return program.train(steps, last_checkpoint(work), partial(_look, work, program.key))


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


def freeze(program: Program) -> Path:
    """Freeze the last checkpoint; StageError if that failed."""
    frozen = program.work / "frozen.pth"
    program.run("freeze", "-c", last_checkpoint(program.work)[1], "-o", frozen.name)
    return frozen
