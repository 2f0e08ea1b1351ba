"""The profiles of PBS and LSF, with little programs in place of the queueing systems."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec

import pytest
from ase.io import write
from conftest import COMMON, REPOSITORY, SMALL
from polymorphkd.readers import read_frames

TARGET = "results/Al/label/labelled.extxyz"
PROGRAMS = {"pbs": ("qsub", "qstat", "qdel"), "lsf": ("bsub", "bjobs", "bkill")}
QUEUES = {"pbs": "workq", "lsf": "normal"}

pytestmark = pytest.mark.skipif(
    find_spec("snakemake_executor_plugin_cluster_generic") is None,
    reason="the plugin of requirements-cluster.txt is not installed",
)


@pytest.fixture(params=sorted(PROGRAMS))
def queue(request, project, aluminium, monkeypatch):
    """A project, its profile's name and a queueing system that is a folder."""
    name = request.param
    programs, folder = project.folder / "bin", project.folder / "queue"
    programs.mkdir()
    folder.mkdir()
    for program in PROGRAMS[name]:
        shutil.copy(REPOSITORY / "tests/queue_stand_in.py", programs / program)
        (programs / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("QUEUE_FOLDER", str(folder))
    shutil.copytree(REPOSITORY / "profiles" / name, project.folder / "profiles" / name)
    write(project.folder / "standard.extxyz", aluminium.to_atoms(), format="extxyz")
    return project, name, folder


def heed_ctrl_c() -> None:
    """For ``preexec_fn``: shells let background processes ignore Ctrl-C, tests among them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def labelling(project, seconds: float) -> None:
    arguments = {"log": str(project.folder / "log"), "seconds": seconds}
    engine = {"calculator": "recording_calculators.RecordingEMT", "arguments": arguments}
    pools = {
        "cpu": {"memory": 1500, "runtime": 90, "tasks": 2, "cpus_per_task": 2},
        "gpu": {"partition": "volta", "gpus": 1, "runtime": 30},
    }
    label = {"engine": "ase", "ase": engine, "n_shards": 2, "pools": pools}
    project.write(COMMON, {**SMALL, "inputs": {"standard": "standard.extxyz"}, "label": label})


def command(project, name: str) -> list[str]:
    profile = ("--profile", f"profiles/{name}", "--seconds-between-status-checks", "1")
    return project.command(TARGET, *profile, "--latency-wait", "10")


@pytest.mark.slow
def test_a_generic_queue_labels_and_submits_a_lost_job_again(queue):
    project, name, folder = queue
    labelling(project, seconds=0.0)
    done = subprocess.run(
        command(project, name), env=project.environment(), cwd=project.folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert len(read_frames(project.folder / TARGET)) == 12
    asked = [json.loads((folder / f"{n}.json").read_text()) for n in range(1, 5)]
    cpu = [one for one in asked if one["cores"] == 4]
    gpu = [one for one in asked if one["queue"] == "volta"]
    assert {one["queue"] for one in cpu} == {QUEUES[name]}
    assert {one["gpus"] for one in gpu} == {1}
    lost, kept = (cpu, gpu) if asked[0] in cpu else (gpu, cpu)
    assert len(kept) == 1
    first, second = lost
    assert second["memory"] == 2 * first["memory"]
    assert second["minutes"] == 2 * first["minutes"]


@pytest.mark.slow
def test_ctrl_c_cancels_the_jobs_of_a_generic_queue(queue):
    project, name, folder = queue
    labelling(project, seconds=60.0)
    process = subprocess.Popen(
        command(project, name), env=project.environment(), cwd=project.folder,
        start_new_session=True, preexec_fn=heed_ctrl_c, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while len(list(folder.glob("*.pid"))) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(2)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) != 0
    numbers = [path.stem for path in folder.glob("*.pid")]
    assert {n: (folder / f"{n}.exit").exists() for n in numbers} == dict.fromkeys(numbers, True)
