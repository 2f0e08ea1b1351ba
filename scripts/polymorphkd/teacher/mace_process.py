"""``mace_run_train`` as a child process: started, followed, resumed after a kill."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import zipfile
from itertools import chain
from pathlib import Path

from ..errors import DivergedError, StageError
from ..label.machine import ending
from ..processes import die_with_parent, thread_environment
from ..progress import Counter, logger
from .curve import learning_curve

_EPOCH = re.compile(
    r"Epoch (?P<epoch>\d+): .*loss=\s*(?P<loss>\S+?), .*"
    r"RMSE_E_per_atom=\s*(?P<energy>\S+) meV, RMSE_F=\s*(?P<force>\S+) meV"
)
_CHECKPOINT = re.compile(r"_epoch-(?P<epoch>\d+)(?P<stage_two>_swa)?\.pt$")
_NOT_FINITE = {"nan", "inf", "-inf"}
_KEPT = 2  # the newest may be half-written when the machine dies, so one more is kept


def _checkpoints(work: Path) -> dict[bool, list[tuple[int, Path]]]:
    """Checkpoints of stage one (False) and two (True) as (epoch, path), newest first."""
    found: dict[bool, list[tuple[int, Path]]] = {False: [], True: []}
    for path in (work / "checkpoints").glob("*.pt"):
        match = _CHECKPOINT.search(path.name)
        if match:
            found[match["stage_two"] is not None].append((int(match["epoch"]), path))
    return {stage: sorted(items, reverse=True) for stage, items in found.items()}


def resume_epoch(work: Path) -> int:
    """Epoch at which MACE will go on, 0 for a fresh start.

    Unusable checkpoints do not count; nothing is changed, so a running training may be asked.
    """
    return max((epoch for epoch, _, fault in _judged(work) if not fault), default=0)


def drop_unusable(work: Path) -> None:
    """Remove the checkpoints from which MACE must not go on; nobody may be writing there."""
    for _, path, fault in _judged(work):
        if fault:
            logger.warning("the checkpoint %s %s and is removed; going back", path, fault)
            path.unlink()


def _judged(work: Path) -> list[tuple[int, Path, str]]:
    """Epoch, path and fault ("" for none) of every checkpoint.

    Faulty are torn ones, and those of epochs whose validation loss is no number, which MACE
    writes as well.
    """
    diverged = {
        point["epoch"] for point in learning_curve(work) if not math.isfinite(point["loss"])
    }
    found = []
    for epoch, path in chain.from_iterable(_checkpoints(work).values()):
        fault = "holds no numbers" if epoch in diverged else "" if whole(path) else "is torn"
        found.append((epoch, path, fault))
    return found


def whole(path: Path) -> bool:
    """Whether a file of PyTorch, a zip archive, has its end and the checksums of its parts."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError):
        return False


def _prune(work: Path) -> None:
    for items in _checkpoints(work).values():
        for _, path in items[_KEPT:]:
            path.unlink(missing_ok=True)


def run(arguments: list[str], work: Path, epochs: int, threads: int) -> int:
    """Run one training to its end, with a progress line every few seconds.

    Everything the child prints goes to the log at debug level.

    Parameters
    ----------
    arguments : list of str
        Command line of ``mace_run_train``.
    work : Path
        Its ``--work_dir``.
    epochs : int
        Total number of epochs.
    threads : int
        CPU threads of the child.

    Returns
    -------
    int
        Epoch from which the training went on, 0 if it started afresh.

    Raises
    ------
    StageError
        The child failed, was killed, or its validation error is no longer a number.
    """
    drop_unusable(work)
    start = resume_epoch(work)
    if start:
        logger.info("resuming at epoch %d of %d from the last checkpoint", start, epochs)
    child = subprocess.Popen(
        [sys.executable, "-m", "mace.cli.run_train", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=thread_environment(threads),
        preexec_fn=die_with_parent,
    )
    try:
        what = f"epochs ({start} done before)" if start else "epochs"
        last = _follow(child, work, Counter(epochs - start, what))
    except DivergedError as error:
        child.kill()
        child.wait()
        raise DivergedError(f"{error}; {_kept(work)}") from None
    finally:
        child.kill()
        code = child.wait()
    if code:
        why = ending(code, last, work)
        raise StageError(f"teacher: mace_run_train failed ({why}): {last}")
    return start


def _kept(work: Path) -> str:
    """What a diverged training left to go on from."""
    drop_unusable(work)
    epoch = resume_epoch(work)
    names = [path for items in _checkpoints(work).values() for at, path in items if at == epoch]
    if not names:
        return "there is no checkpoint from before"
    return f"the last good checkpoint, of epoch {epoch}, is kept as {names[-1]}"


def _follow(child: subprocess.Popen[str], work: Path, counter: Counter) -> str:
    """Log the child's lines until it ends; return its last one."""
    assert child.stdout is not None
    last = "no output"
    for line in child.stdout:
        text = line.rstrip()
        if not text:
            continue
        last = text
        logger.debug("mace: %s", text)
        match = _EPOCH.search(text)
        if not match:
            continue
        values = [match[name].lower() for name in ("loss", "energy", "force")]
        if _NOT_FINITE & set(values):
            raise DivergedError(
                f"teacher: the training diverged: in epoch {match['epoch']} the validation "
                "error is not a number; lower teacher.mace.learning_rate or check the labels"
            )
        _prune(work)
        counter.step(
            note=f"validation RMSE force {float(match['force']):.0f} meV/Å, "
            f"energy {float(match['energy']):.1f} meV/atom",
        )
    child.wait()
    return last
