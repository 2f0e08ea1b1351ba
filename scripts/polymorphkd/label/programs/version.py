"""Which program a command line starts, and which version it tells of itself."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
from functools import cache

PATIENCE = 60
"""Seconds that a program may take to tell its version."""


def missing(command: str) -> str:
    """First word of a command line if it is no program here, else an empty string."""
    word = shlex.split(command)[0]
    return "" if shutil.which(word) else word


@cache
def told_version(command: str, arguments: tuple[str, ...], pattern: str) -> str | None:
    """Version that a program tells; asked once in a process.

    Launchers such as mpirun may need a batch job, so the program is first asked by itself:
    it is the last word of the command line that is a program.

    Parameters
    ----------
    command : str
        With launcher, as for a run.
    arguments : tuple of str
        Words that follow it.
    pattern : str
        Regular expression whose first group is the version.

    Returns
    -------
    str or None
        None where no version is found in what it prints.
    """
    words = shlex.split(command)
    programs = [i for i, word in enumerate(words) if shutil.which(word)]
    if not programs:
        return None
    last = words[programs[-1] : programs[-1] + 1]
    for line in (last, words):
        found = re.search(pattern, _said([*line, *arguments]))
        if found:
            return found[1]
    return None


def _said(command: list[str]) -> str:
    with tempfile.TemporaryDirectory() as folder:  # some write files whatever they are asked
        try:
            done = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=PATIENCE,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return ""
    return done.stdout.decode(errors="replace")
