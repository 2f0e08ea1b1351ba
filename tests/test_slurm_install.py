"""Installing Slurm for the tests: where it cannot be done, one line says why, and soon."""

from __future__ import annotations

import shutil
import subprocess
import time

import pytest
from conftest import REPOSITORY

TOOLS = ("bash", "mktemp", "rm", "tail", "timeout", "chmod", "sleep", "sh")
ROOT = "echo 0"
CASES = {
    "no root": ({"id": "echo 1000"}, "this is not root"),
    "no apt": ({"id": ROOT}, "there is no apt-get here"),
    "no network": ({"id": ROOT, "apt-get": "echo 'E: no network'; exit 100"}, "E: no network"),
    "a slow mirror": (
        {"id": ROOT, "apt-get": "exec sleep 60"},
        "update: not done after 1 s",
    ),
    "a strange package": ({"id": ROOT, "apt-get": "exit 0"}, "brought no slurmctld slurmd munged"),
}


def install(folder, programs: dict[str, str]) -> subprocess.CompletedProcess:
    """Run the script where only its tools and `programs` can be found."""
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name))
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    variables = {
        "PATH": str(folder), "SLURM_INSTALL_SECONDS": "1",
        "SLURM_POLICY_FILE": str(folder / "policy"),
    }  # fmt: skip
    return subprocess.run(
        ["bash", REPOSITORY / "tests/slurm/install.sh"], text=True, timeout=30, check=False,
        capture_output=True, env=variables,
    )  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_keeps_slurm_from_being_installed_is_said_soon(tmp_path, case):
    programs, reason = CASES[case]
    started = time.monotonic()
    done = install(tmp_path, programs)
    assert time.monotonic() - started < 15
    assert done.returncode == 1
    message = done.stderr.splitlines()
    assert len(message) == 1
    assert message[0].startswith("Slurm is not installed and cannot be: ")
    assert reason in message[0]
    assert not (tmp_path / "policy").exists()


def test_slurm_that_is_there_is_left_alone(tmp_path):
    programs = dict.fromkeys(("slurmctld", "slurmd", "munged", "sbatch"), "exit 1")
    done = install(tmp_path, programs)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
