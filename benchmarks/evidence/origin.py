"""Where numbers come from: machine, versions and commit, for the JSON of every benchmark."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

from polymorphkd.provenance import version_of


def origin(*packages: str) -> dict[str, Any]:
    """``machine``, ``versions`` of some packages (null: absent) and ``commit`` of the checkout."""
    return {
        "machine": f"{cpu()}, Python {platform.python_version()}",
        "versions": {name: version_of(name) for name in packages},
        "commit": commit(),
    }


def cpu() -> str:
    """Model name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")


def commit() -> str:
    """Short hash of the checkout, marked ``-dirty`` if files other than results are changed."""
    here = Path(__file__).parent

    def git(*command: str) -> str:
        run = subprocess.run(
            ["git", *command], cwd=here, text=True, capture_output=True, check=False
        )
        return run.stdout.strip()

    changed = git(
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        ":/",
        ":(exclude,top)benchmarks/results",
    )
    return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")
