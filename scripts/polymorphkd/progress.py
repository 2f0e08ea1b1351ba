"""What a person follows: lines of a job, whose log file holds everything, and progress."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import PolymorphKDError
from .provenance import NO_ROOM, disk_full

if TYPE_CHECKING:
    from .readers import Chunk

logger = logging.getLogger("polymorphkd")


@contextmanager
def job(log_file: str | Path, stage: str) -> Iterator[None]:
    """Run the body of a Snakemake script with its log file and its name on the console.

    The console shows the lines of :data:`logger` alone; whatever libraries print, from
    Python or from C, goes to the log file.  Expected errors end the job with their one
    message, unexpected ones with the traceback in the log file and the last line on the
    console.  Both exit with status 1.
    """
    Path(log_file).parent.mkdir(parents=True, exist_ok=True)
    console = logging.StreamHandler(os.fdopen(os.dup(2), "w"))
    console.setLevel(logging.INFO)
    console.setFormatter(logging.Formatter(f"    {stage:<12s} %(message)s"))
    stream = open(log_file, "w", buffering=1)  # noqa: SIM115  (lives as long as the process)
    file_handler = logging.StreamHandler(stream)
    file_handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.handlers = [file_handler, console]
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    # Never restored: libraries still print while the interpreter shuts down.
    for descriptor in (1, 2):
        os.dup2(stream.fileno(), descriptor)
    started = time.monotonic()
    try:
        yield
    except PolymorphKDError as error:
        logger.error("ERROR: %s", error)
        sys.exit(1)
    except OSError as error:
        logger.debug("%s", traceback.format_exc())
        if error.errno in NO_ROOM or disk_full(Path(log_file).parent):
            text = (
                f"the disk is full ({error}); make room and start again: what is finished is kept"
            )
        else:
            text = f"{type(error).__name__}: {error} (traceback in {log_file})"
        logger.error("ERROR: %s", text)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  (the boundary of a job: reported, then exit)
        logger.debug("%s", traceback.format_exc())
        logger.error("ERROR: %s: %s (traceback in %s)", type(error).__name__, error, log_file)
        sys.exit(1)
    logger.info("done in %.0f s", time.monotonic() - started)


class Counter:
    """Progress of a loop as a line every few seconds: count, rate and time left.

    Parameters
    ----------
    total : int
        Number of items to do.
    what : str
        Plural name of the items, as in ``12 of 40 frames``.
    every : float
        Seconds between two lines.
    """

    def __init__(self, total: int, what: str, every: float = 15.0) -> None:
        self.total = total
        self.what = what
        self.every = every
        self.done = 0
        self.started = self._last = time.monotonic()

    def step(self, n: int = 1, note: str = "") -> None:
        """Count `n` finished items; print when `every` seconds have passed or at the end."""
        self.done += n
        now = time.monotonic()
        if now - self._last < self.every and self.done < self.total:
            return
        self._last = now
        spent = now - self.started
        left = spent / max(self.done, 1) * (self.total - self.done)
        text = f"{self.done} of {self.total} {self.what}, {spent:.0f} s spent, {left:.0f} s left"
        logger.info("%s%s", text, f", {note}" if note else "")


@contextmanager
def mapping_progress() -> Iterator[Callable[[Chunk], None]]:
    """Function that shows each chunk of frames as it is mapped, and warns of broken ones."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, soft_wrap=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed:,} frames"), TimeElapsedColumn(),
               TextColumn("{task.description}"))  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)

        def report(chunk: Chunk) -> None:
            progress.update(task, advance=len(chunk.frames), description=chunk.path)
            for broken in chunk.broken:
                console.print(
                    f"WARNING: {broken.path}, frame {broken.index}: {broken.reason}",
                    markup=False, highlight=False,
                )  # fmt: skip

        yield report
