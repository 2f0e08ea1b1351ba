"""``dp`` as a child process: train, follow, resume after a kill, freeze, compress."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ..errors import DivergedError, StageError
from ..processes import die_with_parent, program, thread_environment
from ..progress import Counter, logger
from .curve import learning_curve

_POLL_SECONDS = 1.0
_CHECKPOINT = re.compile(
    r'^all_model_checkpoint_paths: "(?:.*/)?(?P<name>model\.ckpt-(?P<step>\d+))"', re.MULTILINE
)


def last_checkpoint(work: Path) -> tuple[int, str]:
    """Step and name of the newest whole checkpoint; step 0 if there is none."""
    state = work / "checkpoint"
    names = _CHECKPOINT.finditer(state.read_text()) if state.is_file() else ()
    # TensorFlow names a checkpoint in this file before it writes its .meta: a kill between
    # the two leaves the one before as the newest whole one.
    whole = [
        (int(match["step"]), match["name"])
        for match in names
        if all((work / f"{match['name']}.{end}").is_file() for end in ("index", "meta"))
    ]
    return max(whole, default=(0, ""))


def _start(
    arguments: list[str], work: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    with (work / "dp.log").open("ab") as log:
        return subprocess.Popen(
            [program("dp"), "--tf", *arguments],
            cwd=work,
            env=dict(environment),
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )


def _last_line(work: Path) -> str:
    lines = (work / "dp.log").read_text(errors="replace").splitlines()
    telling = [line.strip() for line in lines if line.strip() and "libcudart" not in line]
    return telling[-1] if telling else "no output"


def _finish(child: subprocess.Popen[bytes], what: str, work: Path) -> None:
    code = child.wait()
    if code:
        why = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
        raise StageError(
            f"student: {what} failed ({why}): {_last_line(work)} (all of it in {work / 'dp.log'})"
        )


def _check_finite(curve: Mapping[str, list[float]]) -> None:
    # Not the virial: it is NaN for a batch whose frames have none.
    for name in ("energy_train_eV_per_atom", "force_train_eV_per_A"):
        for step, value in zip(curve["step"], curve.get(name, []), strict=False):
            if not math.isfinite(value):
                raise DivergedError(
                    f"student: the training diverged: at step {step:.0f} the training error is "
                    "not a number; lower student.deepmd.learning_rate or check the labels"
                )


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
    start, checkpoint = last_checkpoint(work)
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
    child = _start(arguments, work, thread_environment(threads))
    try:
        _follow(child, work, start, steps)
    finally:
        child.kill()
        child.wait()
    _finish(child, "dp train", work)
    return start


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
