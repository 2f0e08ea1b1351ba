"""Which try a shard of labels is at: frames that machines failed get more than one.

The count lies beside the store and is no output of any rule.  It is read by the workflow before
a run and written by the job at its end, so that every process of one run sees the same number,
and a number that differs from that of the last run is what makes Snakemake label the shard again.
"""

from __future__ import annotations

import json
from pathlib import Path

from .provenance import read_json, write_json


def next_try(path: str | Path, max_tries: int) -> int:
    """Number of the try that the coming run of a shard is.

    Parameters
    ----------
    path : path
        File that :func:`note_try` writes.
    max_tries : int
        No shard is labelled again because of its failures more often than that.

    Returns
    -------
    int
        1 before the first run; that of the last run where it left nothing to retry.
    """
    try:
        last = read_json(path)
        tries, unfinished = int(last["tries"]), int(last["unfinished"])
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError, ValueError):
        return 1
    return tries + 1 if unfinished and tries < max_tries else tries


def note_try(path: str | Path, tries: int, unfinished: int) -> None:
    """Write down which try has ended and how many frames another one may label."""
    write_json(path, {"tries": tries, "unfinished": unfinished})
