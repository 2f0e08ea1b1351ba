"""Trainings whose processes are killed at every stage, and what the next run makes of it.

What is equal to a training that was never killed: all that had no checkpoint yet, and all
that comes after the training (freezing, compressing).  From a checkpoint both programs go on
with another order of the frames, so that the model is another one of the same quality.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from killing import killed_when
from polymorphkd.frames import Frames, write_frames
from polymorphkd.readers import read_frames
from polymorphkd.settings import Teacher
from polymorphkd.student import load_student, train_student
from polymorphkd.student import training as student_training
from polymorphkd.student.checkpoints import last_checkpoint, usable_checkpoint
from polymorphkd.student.curve import FINE_TUNE
from polymorphkd.teacher import load_teacher, mace_process, train_teacher
from test_student import SETTINGS, distorted
from test_teacher import TINY, make_job

STEPS, TUNING = 60, 40
SHORT = SETTINGS.model_copy(
    update={
        "deepmd": SETTINGS.deepmd.model_copy(update={"steps": STEPS, "fine_tune_steps": TUNING})
    }
)


def running(word: str) -> Callable[[list[str]], bool]:
    return lambda commands: any(f" {word} " in line for line in commands)


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sets")
    files = {name: folder / f"{name}.extxyz" for name in ("train", "valid")}
    for seed, (path, n) in enumerate(zip(files.values(), (24, 6), strict=True)):
        write_frames(path, distorted(n, seed))
    return files


def student_job(sets: dict[str, Path], folder: Path) -> student_training.TrainingJob:
    return student_training.TrainingJob(sets["train"], sets["valid"], None, folder, ["Al"], seed=7)


@pytest.fixture(scope="module")
def calm(sets, tmp_path_factory) -> Path:
    """Folder of a student that nobody disturbed."""
    folder = tmp_path_factory.mktemp("calm")
    train_student(SHORT, student_job(sets, folder))
    return folder


def energies(folder: Path, frames: Frames) -> np.ndarray:
    found = load_student("deepmd", folder / "model.pb").predict(frames).energy
    assert found is not None
    return found


@pytest.mark.slow
def test_a_student_killed_before_its_checkpoints_and_after_its_training_is_the_same(
    sets, calm, tmp_path
):
    job = student_job(sets, tmp_path)
    work = tmp_path / "work"

    def finished(folder: Path, steps: int) -> bool:
        return folder.is_dir() and last_checkpoint(folder)[0] == steps

    moments = [
        (running("train"), signal.SIGTERM),
        (lambda commands: finished(work, STEPS) and (work / FINE_TUNE / "dp.log").exists(),
         signal.SIGKILL),
        (running("freeze"), signal.SIGTERM),
        (running("compress"), signal.SIGKILL),
    ]  # fmt: skip
    for ripe, sign in moments:
        killed_when(train_student, (SHORT, job), ripe, sign)
        assert not list(tmp_path.glob("*.pb"))
        assert not (tmp_path / "metrics.json").exists()
    train_student(SHORT, job)
    frames = read_frames(sets["valid"])
    assert finished(work, STEPS)
    assert finished(work / FINE_TUNE, TUNING)
    np.testing.assert_array_equal(energies(tmp_path, frames), energies(calm, frames))
    curves = [
        json.loads((folder / "metrics.json").read_text())["learning_curve"]
        for folder in (tmp_path, calm)
    ]
    assert curves[0] == curves[1]


@pytest.mark.slow
def test_a_student_killed_in_mid_training_and_in_mid_fine_tuning_goes_on(sets, tmp_path):
    job = student_job(sets, tmp_path)
    longer = SHORT.model_copy(
        update={"deepmd": SHORT.deepmd.model_copy(update={"steps": 600, "fine_tune_steps": 600})}
    )
    for folder, sign in (
        (tmp_path / "work", signal.SIGTERM),
        (tmp_path / "work" / FINE_TUNE, signal.SIGKILL),
    ):

        def ripe(_: list[str], folder: Path = folder) -> bool:
            return folder.is_dir() and last_checkpoint(folder)[0] >= 60

        killed_when(train_student, (longer, job), ripe, sign)
        assert not list(tmp_path.glob("*.pb"))
    train_student(longer, job)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["resumed_from_step"] >= 600 + 60
    assert metrics["learning_curve"]["step"][-1] == 1200
    force = metrics["learning_curve"]["force_train_eV_per_A"]
    assert np.mean(force[-20:]) < 0.5 * np.mean(force[:5])


# Checkpoints that a dead machine or a full disk left


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeroed(path: Path) -> None:
    """As a file system may leave it: the length is there, the data are not."""
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut, zeroed])
@pytest.mark.parametrize("part", ["data-00000-of-00001", "index", "meta"])
def test_a_damaged_checkpoint_is_passed_over(calm, tmp_path, part, damage):
    work = tmp_path / "work"
    shutil.copytree(calm / "work", work, symlinks=True)
    assert usable_checkpoint(work)[0] == STEPS
    damage(work / f"model.ckpt-{STEPS}.{part}")
    before, name = usable_checkpoint(work)
    assert 0 < before < STEPS
    damage(work / f"{name}.{part}")
    assert usable_checkpoint(work) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2])
def test_a_student_with_damaged_checkpoints_goes_on_from_the_one_before_or_anew(
    sets, calm, tmp_path, n
):
    shutil.copytree(calm, tmp_path / "again", symlinks=True)
    work = tmp_path / "again" / "work"
    shutil.rmtree(work / FINE_TUNE)
    (tmp_path / "again" / "model.pb").unlink()
    files = sorted(work.glob("model.ckpt-*.data*"), key=lambda path: path.stat().st_mtime)
    for path in files[::-1][:n]:
        cut(path)
    train_student(SHORT, student_job(sets, tmp_path / "again"))
    metrics = json.loads((tmp_path / "again" / "metrics.json").read_text())
    assert (metrics["resumed_from_step"] > 0) == (n == 1)
    assert metrics["learning_curve"]["step"][-1] == STEPS + TUNING
    if n == 2:  # the same steps, from the same start
        frames = read_frames(sets["valid"])
        np.testing.assert_array_equal(energies(tmp_path / "again", frames), energies(calm, frames))


# The teacher


@pytest.mark.slow
def test_a_teacher_killed_before_its_first_checkpoint_is_the_same(tmp_path):
    settings = Teacher(mace=TINY.model_copy(update={"epochs": 6, "stage_two_start": 0.5}))
    jobs = []
    for name in ("calm", "killed"):
        (tmp_path / name).mkdir()
        jobs.append(make_job(tmp_path / name))
    train_teacher(settings, jobs[0])
    killed_when(train_teacher, (settings, jobs[1]), running("mace.cli.run_train"), signal.SIGTERM)
    assert not jobs[1].model.exists()
    train_teacher(settings, jobs[1])
    frames = read_frames(jobs[0].valid)
    one, other = (load_teacher(settings, [job.model]).predict(frames).energy for job in jobs)
    np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_a_teacher_killed_in_mid_training_with_its_group_goes_on(tmp_path, sign):
    job = make_job(tmp_path)
    settings = Teacher(mace=TINY.model_copy(update={"epochs": 30}))

    def ripe(_: list[str]) -> bool:
        return mace_process.resume_epoch(job.work) >= 4

    killed_when(train_teacher, (settings, job), ripe, sign)
    assert not job.model.exists()
    newest = max((job.work / "checkpoints").glob("*.pt"), key=lambda path: path.stat().st_mtime)
    zeroed(newest)
    train_teacher(settings, job)
    metrics = json.loads(job.metrics.read_text())
    assert 0 < metrics["resumed_from_epoch"] < 30
    assert [point["epoch"] for point in metrics["learning_curve"]] == list(range(30))
    assert metrics["valid"]["force_meV_per_A"] < metrics["learning_curve"][0]["force_meV_per_A"]
