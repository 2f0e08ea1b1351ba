"""Labelling while processes of the run are killed at random: nothing lost, nothing twice."""

from __future__ import annotations

import random
import subprocess
import time

import numpy as np
import pandas as pd
import psutil
import pytest
from ase.io import write
from conftest import COMMON, SMALL, Project
from polymorphkd.frames import Frames, concatenate
from polymorphkd.label import label_shard, make_engine
from polymorphkd.readers import read_frames
from polymorphkd.settings import Label

KILLS = 20
TARGET = "results/Al/label/labelled.extxyz"


def strained(frames: Frames, factor: float) -> Frames:
    return Frames(
        frames.offsets, frames.numbers, frames.positions * factor, frames.cells * factor,
        frames.pbc,
    )  # fmt: skip


class Run:
    """A Snakemake that is started again when it is killed, and every process it ever had."""

    def __init__(self, project: Project) -> None:
        self.project, self.starts = project, 0
        self.seen: dict[int, psutil.Process] = {}
        self.start()

    def start(self) -> None:
        # --nolock: the lock of a killed Snakemake would need a run of its own to go.
        command = self.project.command(TARGET, "--nolock", "--retries", "50")
        self.main = subprocess.Popen(
            command, env=self.project.environment(), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.starts += 1

    def alive(self) -> list[psutil.Process]:
        """Processes of all starts: children of a killed Snakemake go on without it."""
        for pid in [self.main.pid, *self.seen]:
            try:
                process = psutil.Process(pid)
                found = [process, *process.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            if pid == self.main.pid or self.seen[pid] == process:
                self.seen |= {one.pid: one for one in found}
        return [p for p in self.seen.values() if p.is_running() and not zombie(p)]

    def kill(self, process: psutil.Process) -> None:
        process.kill()
        if process.pid == self.main.pid:
            self.main.wait()
            self.start()


def zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def stored(project: Project) -> int:
    return len(list((project.results / "label/store").rglob("[!.]*.json")))


@pytest.mark.slow
@pytest.mark.chain
def test_twenty_kills_of_random_processes_lose_and_repeat_nothing(project, aluminium):
    frames = concatenate([strained(aluminium, 1 + 0.004 * k) for k in range(-3, 4)])
    write(project.folder / "standard.extxyz", frames.to_atoms(), format="extxyz")
    frames = read_frames(project.folder / "standard.extxyz")
    arguments = {"log": str(project.folder / "log"), "seconds": 0.6}
    engine = {"calculator": "recording_calculators.RecordingEMT", "arguments": arguments}
    label = {"engine": "ase", "ase": engine, "n_shards": 4}
    inputs = {"standard": "standard.extxyz"}
    project.write(COMMON, {**SMALL, "inputs": inputs, "label": label})
    dice = random.Random(20)
    run = Run(project)
    kills = 0
    while kills < KILLS:
        before, patience = stored(project), time.monotonic() + 8
        while stored(project) == before and time.monotonic() < patience:
            run.alive()
            time.sleep(0.1)
        time.sleep(dice.random())
        assert run.main.poll() in (None, 0), "snakemake gave up by itself"
        assert run.main.poll() is None, f"finished after {kills} kills; give it more frames"
        run.kill(dice.choice(run.alive()))
        kills += 1
    assert run.main.wait(timeout=600) == 0
    psutil.wait_procs(run.alive(), timeout=120)

    names = frames.sorted_by_id().frame_ids()
    assert sorted(p.stem for p in (project.results / "label/store").rglob("[!.]*.json")) == names
    records = pd.read_parquet(project.results / "label/records.parquet")
    assert records["frame_id"].tolist() == names
    assert (records["status"] == "ok").all()
    labelled = read_frames(project.folder / TARGET)
    calm = label_shard(frames.sorted_by_id(), make_engine(Label(engine="ase")), project.folder)
    assert labelled.frame_ids() == names
    for name in ("energy", "forces", "stress"):
        np.testing.assert_allclose(getattr(labelled, name), getattr(calm, name), atol=1e-8)
    # A kill costs at most the frames that were in work: one in each of the two jobs, and one
    # in a job that a killed Snakemake left behind and that works beside its successor.
    log = (project.folder / "log").read_text().splitlines()
    assert (
        len([line for line in log if not line.endswith(" 0.00000000")]) <= len(names) + 4 * KILLS
    )
