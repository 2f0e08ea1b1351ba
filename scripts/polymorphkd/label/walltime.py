"""The end of a batch job: stop between two frames, not in the middle of one."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ..errors import StageError

MARGIN = 1.25
"""A frame is expected to take this many times as long as the longest so far."""

RESERVE = 20.0
"""Seconds kept for writing the shard and for the clocks of job and queueing system to differ."""

BATCH_IDS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")
"""Variables by which a job knows that a queueing system will end it."""


def job_end(environment: Mapping[str, str], runtime: float | None, now: float) -> float | None:
    """When the queueing system ends this job, in seconds since 1970; None where nothing does.

    Parameters
    ----------
    environment : mapping
        ``SLURM_JOB_END_TIME`` (seconds since 1970) where Slurm sets it.
    runtime : float, optional
        Wall time that the job asked for, min; counts from `now` in a job of Slurm, PBS or
        LSF that is not told its end.
    now : float
        Seconds since 1970.
    """
    told = environment.get("SLURM_JOB_END_TIME", "")
    if told.isdigit():
        return float(told)
    if runtime is not None and any(environment.get(name) for name in BATCH_IDS):
        return now + 60.0 * runtime
    return None


class Walltime:
    """Says whether another frame fits in before the job ends.

    Parameters
    ----------
    end : float, optional
        Seconds since 1970; None for no limit.
    """

    def __init__(self, end: float | None = None) -> None:
        self.end = end
        self.longest = 0.0

    def note(self, seconds: float) -> None:
        """Learn the wall time of a frame (s), also of those labelled by an earlier attempt."""
        self.longest = max(self.longest, seconds)

    def check(self, done: int, total: int) -> None:
        """Stop the job cleanly where the next frame is not expected to finish.

        Raises
        ------
        StageError
            Ends the job with an error, so that the workflow submits the next attempt.
        """
        if self.end is None:
            return
        left = self.end - time.time() - RESERVE
        expected = MARGIN * self.longest
        if left > expected:
            return
        raise StageError(
            f"label: stopped before the time limit with {done} of {total} labels stored: "
            f"{max(left, 0):.0f} s are left and the next frame may take {expected:.0f} s; "
            "the next attempt goes on from here (more at once: label.pools.<name>.runtime)"
        )
