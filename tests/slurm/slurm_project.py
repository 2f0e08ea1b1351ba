"""A Slurm of one node, and a project whose jobs go there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from ase.build import bulk
from ase.io import write
from conftest import COMMON, REPOSITORY, SMALL, Project
from polymorphkd.readers import read_frames

HERE = Path(__file__).parent
TARGET = "results/Al/label/labelled.extxyz"
CONFIG = Path("/etc/slurm/slurm.conf")
MARK = "Written by tests/slurm/up.sh"
DAEMONS = ("slurmctld", "slurmd", "munged", "sbatch")


def why_not() -> str:
    """What keeps a Slurm for tests from being started here, or nothing."""
    missing = [name for name in DAEMONS if shutil.which(name) is None]
    if missing:
        return f"Slurm is not installed ({', '.join(missing)}): make test-slurm installs it"
    if os.geteuid() != 0:
        return "starting a Slurm for tests needs root"
    if not CONFIG.is_file():
        return ""
    if MARK not in CONFIG.read_text():
        return f"{CONFIG}: this machine has a Slurm of its own, tests leave it alone"
    folder = CONFIG.resolve().parent
    return f"other tests use a Slurm; were they killed, tests/slurm/down.sh {folder} ends it"


def end_a_dead_one() -> None:
    """Clear away the Slurm of tests that were killed together with its controller."""
    if not CONFIG.is_file() or MARK not in CONFIG.read_text():
        return
    folder = CONFIG.resolve().parent
    pid = folder / "run/slurmctld.pid"
    if not (pid.is_file() and Path("/proc", pid.read_text().strip()).is_dir()):
        subprocess.run(["bash", HERE / "down.sh", folder], check=False, timeout=60)


def heed_ctrl_c() -> None:
    """For ``preexec_fn``: shells let background processes ignore Ctrl-C, tests among them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class SlurmProject(Project):
    """A project whose standard set is a few Al cells, and whose jobs go to Slurm."""

    process: subprocess.Popen | None = None
    first_look = 1
    """Seconds after which jobs are asked for; the plugin waits 10 s longer from round to round."""

    def prepare(self, n_frames: int, **label) -> None:
        cells = [bulk("Al", "fcc", 3.95 + 0.01 * i, cubic=True) for i in range(n_frames)]
        for i, cell in enumerate(cells):
            cell.rattle(0.05, seed=i)
        write(self.folder / "standard.extxyz", cells, format="extxyz")
        inputs = {"standard": "standard.extxyz"}
        self.write(COMMON, {**SMALL, "inputs": inputs, "label": label})

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        quick = {
            "--slurm-init-seconds-before-status-checks": str(self.first_look),
            "--seconds-between-status-checks": "2",
            "--latency-wait": "15",
        }
        waiting = [part for pair in quick.items() for part in pair]
        profile = ("--profile", str(REPOSITORY / "profiles/slurm"))
        return [*super().command(*arguments, cores=cores), *profile, *waiting]

    def start(self) -> subprocess.Popen:
        output = (self.folder / "snakemake.out").open("w")
        self.process = subprocess.Popen(
            self.command(TARGET), env=self.environment(), start_new_session=True,
            preexec_fn=heed_ctrl_c, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return self.process

    @property
    def printed(self) -> str:
        return (self.folder / "snakemake.out").read_text()

    @property
    def stored(self) -> int:
        return len(list((self.results / "label/store").rglob("[!.]*.json")))

    def wait_for_labels(self, count: int, process: subprocess.Popen) -> None:
        deadline = time.monotonic() + 180
        while self.stored < count:
            assert process.poll() is None, self.printed
            assert time.monotonic() < deadline, self.printed
            time.sleep(0.2)

    def calculations(self) -> list[str]:
        """Positions of every frame that the engine finished, in order."""
        lines = (self.folder / "log").read_text().splitlines()
        return [one for one in (line.split()[1] for line in lines) if float(one) != 0]

    def wait_for(self, happened: Callable[[], bool], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, (queue(), self.printed)
            time.sleep(0.3)

    def check_all_labelled(self, count: int) -> None:
        records = pd.read_parquet(self.results / "label/records.parquet")
        assert records["frame_id"].is_unique
        assert (records["status"] == "ok").sum() == len(records) == count
        assert len(read_frames(self.folder / TARGET)) == count


def engine(project: Project, name: str = "RecordingEMT", **arguments) -> dict:
    arguments = {"log": str(project.folder / "log"), **arguments}
    return {"calculator": f"recording_calculators.{name}", "arguments": arguments}


def queue() -> list[str]:
    """Jobs that Slurm still has, by number and state."""
    command = ["squeue", "--noheader", "--format=%i %T"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def rules(output: str) -> dict[str, str]:
    """Rule of every job that Snakemake says it submitted, by the job's number."""
    said = re.findall(r"SLURM jobid\s+(\d+)\s+\(log:\s+\S*?/rule_(\w+)/", output)
    return dict(said)


def node_state() -> str:
    """State of the one node, such as ``mixed``, ``draining`` or ``drained``."""
    command = ["sinfo", "--noheader", "--partition=cpu", "--format=%T"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip("*\n ")


def change_node(state: str, check: bool = True) -> None:
    """Set the state of the one node."""
    node = subprocess.run(["hostname", "-s"], capture_output=True, text=True).stdout.strip()
    command = ["scontrol", "update", f"nodename={node}", f"state={state}", "reason=test"]
    subprocess.run(command, check=check)


def has_gpu(number: str) -> bool:
    """Whether a job, running or ended, asked for a GPU."""
    command = ["scontrol", "--oneliner", "show", "job", number]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return "=gres:gpu" in shown


def jobs(slurm: Path, folder: Path) -> list[dict[str, str]]:
    """Every job that ended and worked in `folder`, as Slurm recorded it, in order of start."""
    lines = (slurm / "log/jobs.txt").read_text().splitlines()
    ended = [dict(pair.split("=", 1) for pair in line.split() if "=" in pair) for line in lines]
    mine = [job for job in ended if job["WorkDir"] == str(folder)]
    return sorted(mine, key=lambda job: int(job["JobId"]))
