"""``dp`` as a child process: train, follow, resume after a kill, freeze, compress."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from ..deepmd.curve import learning_curve
from ..deepmd.process import Program, check_finite
from ..errors import DivergedError
from ..processes import program, thread_environment
from .checkpoints import last_checkpoint, usable_checkpoint
from .curve import forget_after

_KEY = "student.deepmd"


def _dp(work: Path, threads: int) -> Program:
    return Program([program("dp"), "--tf"], "dp", work, thread_environment(threads), _KEY)


def run_training(work: Path, steps: int, threads: int, weights: Path | None = None) -> int:
    """Run ``dp train input.json`` in `work` to its end, or go on from the last checkpoint.

    Parameters
    ----------
    work : Path
    steps : int
    threads : int
    weights : Path, optional
        Folder of a finished training from whose last checkpoint this one starts.

    Returns and errors are those of :meth:`..deepmd.process.Program.train`.
    """
    found = usable_checkpoint(work)
    fresh = []
    if weights is not None:
        fresh = ["--init-model", str(weights.resolve() / last_checkpoint(weights)[1])]
    if found[0] < steps:
        forget_after(work, found[0])
    try:
        return _dp(work, threads).train(steps, found, partial(_look, work), fresh)
    except DivergedError as error:
        raise DivergedError(f"{error}; {_kept(work)}") from None


def _kept(work: Path) -> str:
    """What a diverged training left to go on from."""
    step, name = usable_checkpoint(work)
    if not step:
        return "there is no checkpoint from before"
    return f"the last good checkpoint, of step {step}, is kept as {work / name}"


def _lacking(work: Path) -> list[str]:
    """Errors that batches of a teacher do not have, because it does not teach the label."""
    files = {"energy_train_eV_per_atom": "energy.npy", "force_train_eV_per_A": "force.npy"}
    systems = list((work / "data" / "teacher").glob("*/set.000"))
    return [name for name, file in files.items() if not all((s / file).is_file() for s in systems)]


def _look(work: Path) -> tuple[int, str]:
    """Last step so far and what to say about it; see `process.follow`."""
    curve = learning_curve(work)
    check_finite(curve, _KEY, _lacking(work))
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
    dp = _dp(work, threads)
    shutil.rmtree(work / "model-compression", ignore_errors=True)
    dp.run("freeze", "-o", "frozen.pb")
    dp.run("compress", "-i", "frozen.pb", "-o", "compressed.pb", "-t", "input.json")
    return work / "frozen.pb", work / "compressed.pb"
