"""Labelling on a real Slurm of one node: `make test-slurm`.

Every test runs Snakemake with profiles/slurm; only the seconds of waiting are shorter.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
from ase.build import bulk
from ase.io import write
from conftest import COMMON, REPOSITORY, SMALL, Project
from polymorphkd.readers import read_frames

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
HERE = Path(__file__).parent
TARGET = "results/Al/label/labelled.extxyz"
DAEMONS = ("slurmctld", "slurmd", "munged", "sbatch")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A Slurm of one node; its folder."""
    missing = [name for name in DAEMONS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"Slurm is not installed ({', '.join(missing)}): make test-slurm installs it")
    if os.geteuid() != 0:
        pytest.skip("starting a Slurm for tests needs root")
    config = Path("/etc/slurm/slurm.conf")
    if config.is_file():
        pytest.skip(f"{config}: this machine has a Slurm of its own, tests leave it alone")
    folder = tmp_path_factory.mktemp("slurm")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        subprocess.run(["bash", HERE / "up.sh", folder], check=True, timeout=60)
        yield folder
    finally:
        subprocess.run(["bash", HERE / "down.sh", folder], check=False, timeout=60)
        del os.environ["SLURM_CONF"]


def heed_ctrl_c() -> None:
    """For ``preexec_fn``: shells let background processes ignore Ctrl-C, tests among them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class SlurmProject(Project):
    """A project whose standard set is a few Al cells, and whose jobs go to Slurm."""

    process: subprocess.Popen | None = None

    def prepare(self, n_frames: int, **label) -> None:
        cells = [bulk("Al", "fcc", 3.95 + 0.01 * i, cubic=True) for i in range(n_frames)]
        for i, cell in enumerate(cells):
            cell.rattle(0.05, seed=i)
        write(self.folder / "standard.extxyz", cells, format="extxyz")
        inputs = {"standard": "standard.extxyz"}
        self.write(COMMON, {**SMALL, "inputs": inputs, "label": label})

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        quick = {
            "--slurm-init-seconds-before-status-checks": "1",
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
    def stored(self) -> int:
        return len(list((self.results / "label/store").rglob("[!.]*.json")))

    def wait_for_labels(self, count: int, process: subprocess.Popen) -> None:
        deadline = time.monotonic() + 180
        while self.stored < count:
            assert process.poll() is None, (self.folder / "snakemake.out").read_text()
            assert time.monotonic() < deadline, (self.folder / "snakemake.out").read_text()
            time.sleep(0.2)

    def calculations(self) -> list[str]:
        """Positions of every frame that the engine finished, in order."""
        lines = (self.folder / "log").read_text().splitlines()
        return [one for one in (line.split()[1] for line in lines) if float(one) != 0]

    def check_all_labelled(self, count: int) -> None:
        records = pd.read_parquet(self.results / "label/records.parquet")
        assert records["frame_id"].is_unique
        assert (records["status"] == "ok").sum() == len(records) == count
        assert len(read_frames(self.folder / TARGET)) == count


@pytest.fixture
def cluster(slurm, tmp_path):
    project = SlurmProject(tmp_path)
    yield project
    if project.process is not None:
        project.process.kill()


def engine(project: Project, name: str = "RecordingEMT", **arguments) -> dict:
    arguments = {"log": str(project.folder / "log"), **arguments}
    return {"calculator": f"recording_calculators.{name}", "arguments": arguments}


def queue() -> list[str]:
    """Jobs that Slurm still has, by number and state."""
    command = ["squeue", "--noheader", "--format=%i %T"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def jobs(slurm: Path, folder: Path) -> list[dict[str, str]]:
    """Every job that ended and worked in `folder`, as Slurm recorded it, in order of start."""
    lines = (slurm / "log/jobs.txt").read_text().splitlines()
    ended = [dict(pair.split("=", 1) for pair in line.split() if "=" in pair) for line in lines]
    mine = [job for job in ended if job["WorkDir"] == str(folder)]
    return sorted(mine, key=lambda job: int(job["JobId"]))


def test_gpaw_labels_on_two_pools_and_the_gpu_pool_lands_on_the_gpu_partition(cluster):
    def told(name: str) -> list[str]:
        return [f"echo $SLURM_JOB_PARTITION $CUDA_VISIBLE_DEVICES > {cluster.folder / name}"]

    pools = {
        "cpu": {"share": 2, "memory": 1500, "runtime": 10, "prelude": told("cpu")},
        "gpu": {"memory": 1500, "runtime": 10, "partition": "gpu", "gpus": 1,
                "prelude": told("gpu")},
    }  # fmt: skip
    coarse = {"ecut": 200, "kspacing": 0.9, "width": 0.4}
    cluster.prepare(4, engine="gpaw", gpaw=coarse, n_shards=3, pools=pools)
    cluster.run(TARGET)
    cluster.check_all_labelled(4)
    assert (cluster.folder / "cpu").read_text().split() == ["cpu"]
    partition, device = (cluster.folder / "gpu").read_text().split()
    assert partition == "gpu"
    assert device in ("0", "1")


def test_out_of_memory_and_out_of_time_are_tried_again_with_more(cluster, slurm):
    pools = {
        "small": {"memory": 1000, "runtime": 10, "environment": {"GREED": "memory"}},
        "short": {"memory": 1000, "runtime": 1, "environment": {"GREED": "time"}},
    }
    greedy = engine(cluster, "GreedyEMT", memory=1100, hold=8)
    cluster.prepare(4, engine="ase", ase=greedy, n_shards=2, pools=pools)
    cluster.run(TARGET)
    cluster.check_all_labelled(4)
    assert len(cluster.calculations()) == 4
    ended = jobs(slurm, cluster.folder)
    small = [job for job in ended if job["TimeLimit"] in ("10", "20")]
    short = [job for job in ended if job["TimeLimit"] in ("1", "2")]
    # Slurm without cgroups calls a job that it ended for its memory cancelled or failed.
    assert [job["JobState"] for job in small][-1] == "COMPLETED"
    assert small[0]["JobState"] in ("OUT_OF_MEMORY", "FAILED", "CANCELLED")
    assert ["mem=2000M" in job["Tres"] for job in small] == [False, True]
    assert [job["JobState"] for job in short] == ["TIMEOUT", "COMPLETED"]


def test_a_lost_daemon_and_a_lost_node_cost_no_finished_label(cluster, slurm):
    pools = {"cpu": {"memory": 1500, "runtime": 10}}
    cluster.prepare(
        16, engine="ase", ase=engine(cluster, seconds=2.0), n_shards=2, pools=pools
    )  # fmt: skip
    process = cluster.start()
    node = subprocess.run(["hostname", "-s"], capture_output=True, text=True).stdout.strip()
    cluster.wait_for_labels(2, process)
    os.kill(int((slurm / "run/slurmd.pid").read_text()), signal.SIGKILL)
    cluster.wait_for_labels(4, process)
    subprocess.run(["slurmd", "-f", slurm / "slurm.conf", "-N", node], check=True)
    change = ["scontrol", "update", f"nodename={node}", "reason=test"]
    subprocess.run([*change, "state=down"], check=True)
    time.sleep(3)
    finished = cluster.stored
    assert 4 <= finished < 16
    # Refused where the node came back by itself, as ReturnToService lets it.
    subprocess.run([*change, "state=resume"], check=False)
    # Slurm queues the jobs of a lost node again and holds them for two minutes.
    for line in queue():
        number = line.split()[0]
        subprocess.run(["scontrol", "update", f"jobid={number}", "starttime=now"], check=True)
    assert process.wait(timeout=240) == 0, (cluster.folder / "snakemake.out").read_text()
    cluster.check_all_labelled(16)
    # A frame in work when its job ended is computed again: one per job at most.
    assert len(cluster.calculations()) <= 16 + 2


def test_ctrl_c_cancels_all_jobs_and_the_next_run_repeats_no_label(cluster):
    pools = {"cpu": {"memory": 1500, "runtime": 10}}
    cluster.prepare(
        12, engine="ase", ase=engine(cluster, seconds=2.0), n_shards=2, pools=pools
    )  # fmt: skip
    process = cluster.start()
    cluster.wait_for_labels(3, process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) != 0
    deadline = time.monotonic() + 30
    while queue():
        assert time.monotonic() < deadline, queue()
        time.sleep(0.5)
    finished = cluster.stored
    before = len(cluster.calculations())
    assert 3 <= finished < 12
    cluster.run(TARGET)
    cluster.check_all_labelled(12)
    assert len(cluster.calculations()) - before == 12 - finished
