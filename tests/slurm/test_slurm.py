"""The workflow on a real Slurm of one node: `make test-slurm`.

Every test runs Snakemake with profiles/slurm; only the seconds of waiting are shorter.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest
from conftest import COMMON, job_stats
from slurm_project import (
    HERE,
    TARGET,
    SlurmProject,
    change_node,
    end_a_dead_one,
    engine,
    has_gpu,
    jobs,
    node_state,
    queue,
    rules,
    why_not,
)
from test_chain import MINIATURE

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A Slurm of one node; its folder."""
    end_a_dead_one()
    if why_not():
        pytest.skip(why_not())
    folder = tmp_path_factory.mktemp("slurm")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        started = subprocess.run(
            ["bash", HERE / "up.sh", folder],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if started.returncode:
            # A container may forbid what daemons need; `make test-slurm` wants to know.
            last = (started.stdout + started.stderr).strip().splitlines()[-1:]
            tell = pytest.fail if os.environ.get("SLURM_REQUIRED") else pytest.skip
            tell(f"Slurm is installed but does not start here: {' '.join(last)}")
        yield folder
    finally:
        subprocess.run(["bash", HERE / "down.sh", folder], check=False, timeout=60)
        del os.environ["SLURM_CONF"]


@pytest.fixture
def cluster(slurm, tmp_path):
    project = SlurmProject(tmp_path)
    yield project
    if project.process is not None:
        project.process.kill()
    # A job whose slurmd was killed has nobody left to end it.
    subprocess.run(["pkill", "-9", "-f", str(tmp_path)], check=False)


def test_gpaw_labels_on_two_pools_and_the_gpu_pool_lands_on_the_gpu_partition(cluster):
    def told(name: str) -> list[str]:
        return [f"echo $SLURM_JOB_PARTITION $CUDA_VISIBLE_DEVICES > {cluster.folder / name}"]

    pools = {
        "cpu": {"share": 2, "memory": 1500, "runtime": 10, "prelude": told("cpu")},
        "gpu": {"memory": 1500, "runtime": 10, "partition": "gpu", "gpus": 1,
                "prelude": told("gpu")},
    }  # fmt: skip
    coarse = {"ecut": 200, "kspacing": 0.9, "width": 0.4}
    cluster.prepare(4, engine="gpaw", gpaw=coarse, n_shards=3, pools=pools,
                    gates={"max_entropy": None})  # fmt: skip
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


def test_a_drained_node_finishes_what_runs_and_the_rest_waits_for_it(cluster):
    # Two jobs of 10 GB fit on the node of 24 GB, two wait.
    pools = {"cpu": {"memory": 10000, "runtime": 10}}
    cluster.prepare(
        12, engine="ase", ase=engine(cluster, seconds=2.0), n_shards=4, pools=pools
    )  # fmt: skip
    process = cluster.start()

    def states() -> list[str]:
        return sorted(line.split()[1] for line in queue())

    cluster.wait_for(lambda: states() == ["PENDING", "PENDING", "RUNNING", "RUNNING"])
    cluster.wait_for_labels(1, process)
    try:
        change_node("drain")
        assert node_state() == "draining"
        cluster.wait_for(lambda: states() == ["PENDING", "PENDING"])
        assert node_state() == "drained"
        assert cluster.stored == 6
        time.sleep(5)
        assert states() == ["PENDING", "PENDING"]
        assert process.poll() is None
    finally:
        change_node("resume")
    assert process.wait(timeout=240) == 0, cluster.printed
    cluster.check_all_labelled(12)
    assert len(cluster.calculations()) == 12


GPU_RULES = {"train_teacher", "relabel_frames", "train_student"}


@pytest.mark.chain
def test_the_whole_miniature_chain_runs_as_jobs_of_its_partitions(cluster, slurm):
    cluster.write(COMMON, MINIATURE)
    cluster.first_look = 12
    output = cluster.run("--jobs", "3").stdout
    for name in ("report.html", "summary.json", "student/dnn-kd/model.pb"):
        assert (cluster.results / name).stat().st_size > 0
    summary = json.loads((cluster.results / "summary.json").read_text())
    errors = [value for model in summary["rmse"].values() for value in model.values()]
    assert set(summary["rmse"]) == {"teacher", "dnn", "dnn-kd"}
    assert np.all(np.isfinite(errors))
    submitted = rules(output)
    planned = job_stats(output) - {"all"}
    assert set(submitted.values()) == planned
    for job in jobs(slurm, cluster.folder):
        rule = submitted.pop(job["JobId"])
        on_gpu = rule in GPU_RULES
        assert job["JobState"] == "COMPLETED", rule
        assert job["Partition"] == ("gpu" if on_gpu else "cpu"), rule
        assert has_gpu(job["JobId"]) == on_gpu, rule
    assert not submitted
