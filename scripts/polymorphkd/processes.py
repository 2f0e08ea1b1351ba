"""Programs of the environment as child processes, and the folders they work in."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .errors import EngineError, StageError

_LIBC = ctypes.CDLL(None)  # loaded here because a forked child should not open libraries


def program(name: str) -> str:
    """Path of a program that was installed beside this Python, such as ``dp`` or ``lmp``.

    Raises
    ------
    EngineError
        It is not there.
    """
    path = Path(sys.executable).parent / name
    if not path.is_file():
        raise EngineError(f"{name}: not installed beside {sys.executable}; run `make env`")
    return str(path)


def thread_environment(threads: int) -> Mapping[str, str]:
    """Environment of a child that may use `threads` CPU threads (OpenMP, MKL, TensorFlow)."""
    names = (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "DP_INTRA_OP_PARALLELISM_THREADS",
        "DP_INTER_OP_PARALLELISM_THREADS",
    )
    return {
        **os.environ,
        **{name: str(threads) for name in names},
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def die_with_parent() -> None:
    """For ``preexec_fn``: the child is killed when its parent dies, never left unseen."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        _LIBC.prctl(pr_set_pdeathsig, signal.SIGKILL)


@contextmanager
def claimed(work: Path, identity: str) -> Iterator[None]:
    """Own the folder `work` for one job; what another job left there is removed.

    Parameters
    ----------
    work : Path
    identity : str
        Digest of everything that decides the result.  A folder with another identity holds
        checkpoints of other data or settings, which must not be continued.

    Raises
    ------
    StageError
        Another process works in the same folder.
    """
    work.mkdir(parents=True, exist_ok=True)
    lock = (work / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise StageError(f"{work}: another process works here; wait for it or end it") from None
    with lock:
        mark = work / "identity"
        if not mark.is_file() or mark.read_text() != identity:
            for path in work.iterdir():
                if path.name != ".lock":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            mark.write_text(identity)
        yield
