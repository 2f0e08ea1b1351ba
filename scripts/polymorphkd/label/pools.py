"""What a job takes over from its pool: environment and command line, never a number."""

from __future__ import annotations

import os
import subprocess

from ..errors import EngineError
from ..settings import Label, Pool

PRELUDE_TIMEOUT = 120
"""Seconds that the shell lines of a pool may take; module systems are slow, not that slow."""

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
    script = "\n".join(["set -e", *lines, f"echo '{_MARK}'", "env -0"])
    where = f"label.pools.{name}.prelude"
    try:
        done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=PRELUDE_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise EngineError(f"{where}: not finished after {PRELUDE_TIMEOUT} s") from None
    said, found, after = done.stdout.decode(errors="replace").rpartition(f"{_MARK}\n")
    if done.returncode or not found:
        lines = (done.stderr.decode(errors="replace").strip() or said.strip()).splitlines()
        raise EngineError(
            f"{where}: ended with status {done.returncode}: {lines[-1] if lines else 'no message'}"
        )
    pairs = (entry.partition("=") for entry in after.split("\0") if entry)
    return {key: value for key, _, value in pairs}
