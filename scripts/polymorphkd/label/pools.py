"""What a job takes over from its pool: environment and command line, never a number."""

from __future__ import annotations

import os
import re
import subprocess

from ..errors import EngineError
from ..settings import Label, Pool

PRELUDE_TIMEOUT = 120
"""Seconds that the shell lines of a pool may take; module systems are slow, not that slow."""

PROFILE = "/etc/profile"
"""What a login shell reads; clusters define ``module`` in it or in the files it reads."""

# The shell of a prelude is no login shell.  Where neither BASH_ENV nor an exported function has
# brought `module`, its own start file does, else the profile; what PATH names first stays first.
_DEFINE_MODULE = """\
for start in "${{MODULESHOME:-}}/init/bash" "${{LMOD_PKG:-}}/init/bash" '{profile}'; do
    if type module >/dev/null 2>&1; then break; fi
    if [ -r "$start" ]; then path_before=$PATH; . "$start"; PATH=$path_before:$PATH; fi
done
unset start path_before
"""
_USES_MODULE = re.compile(r"(?:^|[;&|]\s*|\s)(?:module|ml)\s")

_MARK = "-- environment after the prelude --"


def pool_environment(name: str, pool: Pool) -> dict[str, str]:
    """Environment of this process after the pool's prelude and with its variables.

    Parameters
    ----------
    name : str
        Of the pool, for messages.
    pool : Pool

    Raises
    ------
    EngineError
        A line of the prelude fails, or the lines take too long.
    """
    environment = _after_prelude(name, pool.prelude) if pool.prelude else dict(os.environ)
    return environment | pool.environment


def for_pool(settings: Label, pool: Pool) -> Label:
    """Settings whose engine starts its program with the pool's command line.

    Engines without a ``command`` of their own run inside the job and stay as they are.
    """
    section = getattr(settings, settings.engine)
    if pool.command is None or "command" not in type(section).model_fields:
        return settings
    changed = section.model_copy(update={"command": pool.command})
    return settings.model_copy(update={settings.engine: changed})


def _after_prelude(name: str, lines: list[str]) -> dict[str, str]:
    # One shell for all lines: `module load` changes the shell that runs it.
    before = (
        [_DEFINE_MODULE.format(profile=PROFILE)] if _USES_MODULE.search("\n".join(lines)) else []
    )
    script = "\n".join([*before, "set -e", *lines, f"echo '{_MARK}'", "env -0"])
    where = f"label.pools.{name}.prelude"
    try:
        done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=PRELUDE_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise EngineError(f"{where}: not finished after {PRELUDE_TIMEOUT} s") from None
    said, found, after = done.stdout.decode(errors="replace").rpartition(f"{_MARK}\n")
    if done.returncode or not found:
        lines = (done.stderr.decode(errors="replace").strip() or said.strip()).splitlines()
        last = lines[-1] if lines else "no message"
        if last.endswith("module: command not found"):
            last += f"; {PROFILE} does not define it: source the file that does before it"
        raise EngineError(f"{where}: ended with status {done.returncode}: {last}")
    pairs = (entry.partition("=") for entry in after.split("\0") if entry)
    return {key: value for key, _, value in pairs}
