"""A batch job stops between two frames, before the queueing system would kill it in one."""

from __future__ import annotations

import time

import pytest
from ase.io import write
from conftest import COMMON, SMALL
from polymorphkd.errors import StageError
from polymorphkd.label import label_shard, make_engine
from polymorphkd.label.walltime import RESERVE, Walltime, job_end
from polymorphkd.readers import read_frames
from polymorphkd.settings import Label

TARGET = "results/Al/label/labelled.extxyz"


def recording(log, seconds: float) -> dict:
    arguments = {"log": str(log), "seconds": seconds}
    return {"calculator": "recording_calculators.RecordingEMT", "arguments": arguments}


@pytest.mark.parametrize(
    ("environment", "runtime", "end"),
    [
        ({"SLURM_JOB_END_TIME": "5000", "SLURM_JOB_ID": "7"}, 60, 5000),
        ({"SLURM_JOB_ID": "7"}, 60, 1000 + 3600),
        ({"PBS_JOBID": "7.server"}, 2, 1120),
        ({"LSB_JOBID": "7"}, 2, 1120),
        ({"SLURM_JOB_ID": "7"}, None, None),
        ({}, 60, None),
    ],
)
def test_the_end_of_a_job(environment, runtime, end):
    assert job_end(environment, runtime, now=1000.0) == end


def test_a_job_stops_before_a_frame_that_would_not_finish(aluminium, tmp_path):
    log = tmp_path / "log"
    engine = make_engine(Label(engine="ase", ase=recording(log, 0.4)))
    started = time.time()
    end = started + RESERVE + 2
    with pytest.raises(StageError, match=r"stopped before the time limit with (\d) of 12 labels"):
        label_shard(aluminium, engine, tmp_path / "store", Walltime(end))
    assert time.time() < end - RESERVE / 2
    stored = len(list((tmp_path / "store").rglob("*.json")))
    assert 1 <= stored <= 4
    assert len(log.read_text().splitlines()) == stored
    # The next attempt knows from the store how long a frame takes, and starts none in vain.
    with pytest.raises(StageError, match=f"with {stored} of 12"):
        label_shard(aluminium, engine, tmp_path / "store", Walltime(time.time() + RESERVE + 0.3))
    assert len(log.read_text().splitlines()) == stored
    labelled = label_shard(aluminium, engine, tmp_path / "store", Walltime(time.time() + 3600))
    assert (labelled.meta["status"] == "ok").all()
    assert len(log.read_text().splitlines()) == 12


@pytest.mark.slow
def test_a_stopped_job_fails_so_that_the_next_attempt_goes_on(project, aluminium, monkeypatch):
    log = project.folder / "log"
    write(project.folder / "standard.extxyz", aluminium.to_atoms(), format="extxyz")
    # Twelve frames of 2 s: more than the 20 s of the first attempts, however fast they start.
    label = {"engine": "ase", "n_shards": 1, "ase": recording(log, 2.0)}
    project.write(
        COMMON, {**SMALL, "inputs": {"standard": "standard.extxyz"}, "label": label}
    )  # fmt: skip
    project.run("--dry-run", TARGET)  # what is compiled or cached is so before the clock runs
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time() + RESERVE + 20)))
    done = project.run(TARGET, "--retries", "1", check=False)
    assert done.returncode
    assert done.stdout.count("stopped before the time limit") == 2
    stored = len(list((project.results / "label/store").rglob("*.json")))
    assert 0 < stored < 12
    monkeypatch.delenv("SLURM_JOB_END_TIME")
    project.run(TARGET)
    assert read_frames(project.folder / TARGET).frame_ids() == aluminium.sorted_by_id().frame_ids()
    labels = [line for line in log.read_text().splitlines() if not line.endswith(" 0.00000000")]
    assert len(labels) == 12
