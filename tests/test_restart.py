"""A teacher that left training frames unlearned trains on from its own weights."""

from __future__ import annotations

import json
import logging
import math
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killing import killed_when
from polymorphkd.errors import DivergedError, EngineError
from polymorphkd.frames import write_frames
from polymorphkd.progress import logger
from polymorphkd.readers import read_frames
from polymorphkd.settings import Teacher
from polymorphkd.teacher import TrainingJob, load_teacher, mace, mace_process, train_teacher
from polymorphkd.teacher.curve import learning_curve, restart_folder
from polymorphkd.teacher.mace_training import Trained
from test_teacher import TINY, make_job

pytestmark = pytest.mark.slow

EPOCHS = 20
SETTINGS = Teacher(mace=TINY.model_copy(update={"epochs": EPOCHS}))
OFF = 3.0
"""Error (eV per atom) of one label, which no network learns beside fifteen that are right."""


@pytest.fixture
def mislabelled(tmp_path) -> TrainingJob:
    job = make_job(tmp_path)
    frames = read_frames(job.train)
    assert frames.energy is not None
    frames.energy[5] += OFF * frames.n_atoms[5]
    write_frames(job.train, frames)
    return job


@pytest.fixture
def log(caplog) -> pytest.LogCaptureFixture:
    logger.propagate = True
    caplog.set_level(logging.INFO, logger="polymorphkd")
    return caplog


def metrics_of(job: TrainingJob) -> dict:
    return json.loads(job.metrics.read_text())


def wrong_frame(job: TrainingJob) -> str:
    return str(read_frames(job.train).frame_ids()[5])


def test_the_restart_goes_on_from_the_weights_reached(mislabelled, monkeypatch, log):
    monkeypatch.setattr(Trained, "improves", lambda *_: True)
    train_teacher(SETTINGS, mislabelled)
    metrics = metrics_of(mislabelled)
    (record,) = metrics["restarts"]
    assert record["kept"]
    assert record["valid"] == metrics["valid"]
    assert wrong_frame(mislabelled) in [one["frame_id"] for one in record["unlearned"]]
    curve = metrics["learning_curve"]
    assert [point["epoch"] for point in curve] == list(range(2 * EPOCHS))
    assert [point["restart"] for point in curve] == [0] * EPOCHS + [1] * EPOCHS
    forces = [point["force_meV_per_A"] for point in curve]
    assert forces[EPOCHS] < 0.5 * forces[0]
    assert "warm restart with a fresh optimiser: restart_1" in log.text
    assert not mislabelled.work.exists()


def test_a_restart_that_learned_no_more_is_left_out(mislabelled, log):
    """No restart learns this label, so there is one and not two, and the first model stays."""
    settings = Teacher(mace=SETTINGS.mace.model_copy(update={"restarts": 2}))
    train_teacher(settings, mislabelled)
    metrics = metrics_of(mislabelled)
    assert [record["kept"] for record in metrics["restarts"]] == [False]
    assert len(metrics["learning_curve"]) == EPOCHS
    assert "restart 1 is no better" in log.text
    without = Teacher(mace=SETTINGS.mace.model_copy(update={"restarts": 0}))
    (mislabelled.model.parent / "other").mkdir()
    other = replace(mislabelled, model=mislabelled.model.parent / "other" / "model_0.model")
    train_teacher(without, other)
    assert metrics_of(other)["restarts"] == []
    frames = read_frames(mislabelled.valid)
    one, two = (
        load_teacher(settings, [job.model]).predict(frames).energy for job in (mislabelled, other)
    )
    np.testing.assert_array_equal(one, two)


def test_frames_that_were_learned_need_no_restart(tmp_path):
    job = make_job(tmp_path)
    train_teacher(SETTINGS, job)
    assert metrics_of(job)["unlearned"] == []
    assert metrics_of(job)["restarts"] == []


def killed_in_the_restart(job: TrainingJob) -> Path:
    """Folder of a restart that was killed after some epochs."""
    folder = restart_folder(job.work, 1)
    killed_when(
        train_teacher, (SETTINGS, job),
        lambda _: mace_process.resume_epoch(folder) >= 3, signal.SIGKILL,
    )  # fmt: skip
    return folder


def test_a_job_killed_in_the_restart_does_not_repeat_what_was_before(mislabelled, monkeypatch):
    folder = killed_in_the_restart(mislabelled)
    assert not mislabelled.model.exists()
    assert len(learning_curve(mislabelled.work)) > EPOCHS  # what status and curves read
    folders = []
    train = mace_process.run

    def recorded(arguments: list[str], work: Path, *more: Any) -> int:
        folders.append(work)
        return train(arguments, work, *more)

    monkeypatch.setattr(mace_process, "run", recorded)
    train_teacher(SETTINGS, mislabelled)
    assert folders == [folder]
    (record,) = metrics_of(mislabelled)["restarts"]
    assert not record["kept"]


def test_a_torn_model_is_trained_again(mislabelled, monkeypatch):
    killed_in_the_restart(mislabelled)
    trained = mislabelled.work / "trained.model"
    trained.write_bytes(trained.read_bytes()[:1000])
    train_teacher(SETTINGS, mislabelled)
    assert mislabelled.model.is_file()


def test_a_restart_that_diverges_costs_nothing_but_time(mislabelled, monkeypatch, log):
    train = mace_process.run

    def diverging(arguments: list[str], work: Path, *more: Any) -> int:
        if work == mislabelled.work:
            return train(arguments, work, *more)
        results = work / "results"
        results.mkdir()
        line = (mislabelled.work / "results").glob("*_train.txt")
        entry = json.loads(next(line).read_text().splitlines()[-1])
        entry |= {"mode": "eval", "epoch": 0, "loss": math.nan, "rmse_f": math.nan}
        entry |= {"rmse_e_per_atom": math.nan}
        (results / "teacher_run-1_train.txt").write_text(json.dumps(entry) + "\n")
        raise DivergedError("teacher: the training diverged")

    monkeypatch.setattr(mace_process, "run", diverging)
    train_teacher(SETTINGS, mislabelled)
    assert mislabelled.model.is_file()
    metrics = metrics_of(mislabelled)
    assert [(one["kept"], one["valid"]) for one in metrics["restarts"]] == [(False, None)]
    assert len(metrics["learning_curve"]) == EPOCHS
    assert "restart 1 diverged; the model before it is kept" in log.text


def test_weights_that_mace_cannot_go_on_from_are_kept_as_they_are(mislabelled, monkeypatch, log):
    def refused(*_: object) -> None:
        raise EngineError("trained.model: MACE cannot take its network over")

    monkeypatch.setattr(mace, "open_foundation", refused)
    train_teacher(SETTINGS, mislabelled)
    assert mislabelled.model.is_file()
    assert metrics_of(mislabelled)["restarts"] == []
    assert "no restart from these weights: trained.model" in log.text
