"""A teacher that left training frames unlearned trains on from its own weights."""

from __future__ import annotations

import json
import logging
import signal
from pathlib import Path

import pytest
from killing import killed_when
from polymorphkd.errors import DivergedError, EngineError
from polymorphkd.frames import write_frames
from polymorphkd.progress import logger
from polymorphkd.readers import read_frames
from polymorphkd.settings import Teacher
from polymorphkd.teacher import TrainingJob, mace, mace_process, train_teacher
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


def test_the_restart_goes_on_from_the_weights_reached(mislabelled, log):
    train_teacher(SETTINGS, mislabelled)
    metrics = metrics_of(mislabelled)
    assert metrics["restarts"] == 1
    assert wrong_frame(mislabelled) in [one["frame_id"] for one in metrics["unlearned"]]
    curve = metrics["learning_curve"]
    assert [point["epoch"] for point in curve] == list(range(2 * EPOCHS))
    assert [point["restart"] for point in curve] == [0] * EPOCHS + [1] * EPOCHS
    forces = [point["force_meV_per_A"] for point in curve]
    assert forces[EPOCHS] < 0.5 * forces[0]
    assert "training on from these weights with a fresh optimiser: restart_1" in log.text
    assert not mislabelled.work.exists()


def test_without_restarts_it_ends_there(mislabelled):
    settings = SETTINGS.mace.model_copy(update={"restarts": 0})
    train_teacher(Teacher(mace=settings), mislabelled)
    metrics = metrics_of(mislabelled)
    assert metrics["restarts"] == 0
    assert len(metrics["learning_curve"]) == EPOCHS
    assert wrong_frame(mislabelled) in [one["frame_id"] for one in metrics["unlearned"]]


def test_frames_that_were_learned_need_no_restart(tmp_path):
    job = make_job(tmp_path)
    train_teacher(SETTINGS, job)
    assert metrics_of(job)["unlearned"] == []
    assert metrics_of(job)["restarts"] == 0


def test_a_job_killed_in_the_restart_does_not_repeat_what_was_before(mislabelled):
    folder = restart_folder(mislabelled.work, 1)
    killed_when(
        train_teacher, (SETTINGS, mislabelled),
        lambda _: mace_process.resume_epoch(folder) >= 3, signal.SIGKILL,
    )  # fmt: skip
    assert not mislabelled.model.exists()
    assert len(learning_curve(mislabelled.work)) > EPOCHS  # what status and curves read
    train_teacher(SETTINGS, mislabelled)
    metrics = metrics_of(mislabelled)
    assert EPOCHS + 3 <= metrics["resumed_from_epoch"] < 2 * EPOCHS
    assert [point["epoch"] for point in metrics["learning_curve"]] == list(range(2 * EPOCHS))


def test_a_restart_that_fails_costs_nothing_but_time(mislabelled, monkeypatch, log):
    train = mace_process.run

    def diverging(arguments: list[str], work: Path, *more: object) -> int:
        if work != mislabelled.work:
            raise DivergedError("teacher: the training diverged")
        return train(arguments, work, *more)

    monkeypatch.setattr(mace_process, "run", diverging)
    train_teacher(SETTINGS, mislabelled)
    assert mislabelled.model.is_file()
    assert metrics_of(mislabelled)["restarts"] == 0
    assert "the restart is given up: teacher: the training diverged" in log.text


def test_weights_that_mace_cannot_go_on_from_are_kept_as_they_are(mislabelled, monkeypatch, log):
    def refused(*_: object) -> None:
        raise EngineError("trained.model: MACE cannot take its network over")

    monkeypatch.setattr(mace, "open_foundation", refused)
    train_teacher(SETTINGS, mislabelled)
    assert mislabelled.model.is_file()
    assert metrics_of(mislabelled)["restarts"] == 0
    assert "no restart from these weights: trained.model" in log.text


def test_the_model_with_fewer_frames_unlearned_is_the_better_one():
    def trained(unlearned: int, force: float) -> Trained:
        scores = {"unlearned": [{}] * unlearned, "valid": {"force_meV_per_A": force}}
        return Trained(Path(f"{unlearned} {force}"), None, scores, 0)  # type: ignore[arg-type]

    models = [trained(2, 10.0), trained(1, 30.0), trained(1, 20.0)]
    assert min(models, key=Trained.faults).file == Path("1 20.0")
