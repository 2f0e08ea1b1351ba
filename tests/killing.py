"""Processes of tests that are killed in the middle of their work."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"

_RUN = """
import sys, pickle
from polymorphkd.{room} import {function}
{function}(*pickle.loads(bytes.fromhex(sys.argv[1])))
"""


def killed_when(
    function: Callable, arguments: tuple, ripe: Callable, sign: int, group: bool = True
) -> None:
    """Call `function` in a process of its own, and send it `sign` when `ripe` is true.

    `ripe` gets the command lines of the processes below.  The signal goes to the whole process
    group, or to the first process alone; either way none of those below may live on.
    """
    room = function.__module__.split(".")[1]
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN.format(room=room, function=function.__name__),
         pickle.dumps(arguments).hex()],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)}, start_new_session=True,
    )  # fmt: skip
    below: set[psutil.Process] = set()
    deadline = time.monotonic() + 240
    while True:
        below |= set(psutil.Process(process.pid).children(recursive=True))
        if ripe([command(one) for one in below]):
            break
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert below
    if group:
        os.killpg(process.pid, sign)
    else:
        process.send_signal(sign)
    assert process.wait(timeout=30) == -sign
    _, alive = psutil.wait_procs(below, timeout=30)
    assert not alive


def command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
