"""Real trainings that diverge or fail: stopped, the last good checkpoint kept, frames named."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from polymorphkd.deepmd.curve import learning_curve
from polymorphkd.deepmd.process import check_finite
from polymorphkd.errors import DivergedError
from polymorphkd.frames import write_frames
from polymorphkd.progress import logger
from polymorphkd.readers import read_frames
from polymorphkd.settings import Teacher
from polymorphkd.student import train_student
from polymorphkd.student.checkpoints import usable_checkpoint
from polymorphkd.student.curve import forget_after
from polymorphkd.student.training import warn_of_absent
from polymorphkd.teacher import mace_process, train_teacher
from polymorphkd.teacher.scores import rmse
from polymorphkd.teacher.training import read_labelled, warn_if_useless
from test_student import SETTINGS, distorted
from test_student import job as student_job
from test_teacher import TINY, make_job


def damage(path: Path, force: float) -> str:
    """Set the forces of one frame of a file and return its id."""
    frames = read_frames(path)
    assert frames.forces is not None
    frames.forces[frames.atoms_of(5)] = force
    write_frames(path, frames)
    return frames.frame_ids()[5]


@pytest.fixture
def heard(caplog) -> pytest.LogCaptureFixture:
    logger.propagate = True
    caplog.set_level(logging.WARNING, logger="polymorphkd")
    return caplog


def test_a_force_that_no_crystal_has_is_reported_with_its_frame(tmp_path, heard):
    write_frames(tmp_path / "train.extxyz", distorted(8, 1))
    read_labelled(tmp_path / "train.extxyz", ["Al"])
    assert not heard.records
    name = damage(tmp_path / "train.extxyz", 1e6)
    read_labelled(tmp_path / "train.extxyz", ["Al"])
    assert "forces beyond 100 eV/Å" in heard.text
    assert f"largest forces: {name} (1.73e+06 eV/Å)" in heard.text


def test_a_model_that_is_worse_than_none_is_reported(heard):
    frames = distorted(6, 2)
    good, bad = frames.take(range(6)), frames.take(range(6))
    assert good.forces is not None
    assert bad.forces is not None
    good.forces = 0.5 * good.forces
    warn_if_useless(rmse(frames, good), frames, frames)
    assert not heard.records
    bad.forces = -1.1 * bad.forces
    warn_if_useless(rmse(frames, bad), frames, frames)
    assert "worse than that of no forces at all" in heard.text
    assert "largest forces" in heard.text


def test_an_element_that_no_frame_holds_is_reported(heard):
    frames = distorted(4, 2, ("Al", "Cu"))
    warn_of_absent(frames, ["Al", "Cu"])
    assert not heard.records
    warn_of_absent(frames, ["Al", "Ni", "Cu"])
    assert "no training frame holds Ni" in heard.text


def test_perfect_crystals_as_validation_set_raise_no_alarm(heard):
    frames = distorted(2, 3)
    assert frames.forces is not None
    frames.forces[:] = 0.0
    off = frames.take(range(2))
    assert off.forces is not None
    off.forces += 0.003
    warn_if_useless(rmse(frames, off), frames, frames)
    assert not heard.records


@pytest.mark.slow
def test_a_teacher_that_diverges_in_stage_two_keeps_its_last_good_checkpoint(tmp_path):
    job = make_job(tmp_path)
    name = damage(job.train, 90.0)
    # Beyond the largest number of float32, so that the first loss of stage two is infinite.
    settings = Teacher(
        mace=TINY.model_copy(update={"stage_two_weights": (1e60, 1e60, 1e60), "dtype": "float32"})
    )
    for _ in range(2):  # what is left is good enough to be tried again, with the same end
        with pytest.raises(DivergedError) as caught:
            train_teacher(settings, job)
        text = str(caught.value)
        assert "diverged: in epoch 12" in text
        assert "the last good checkpoint, of epoch" in text
        assert f"largest forces: {name}" in text
        assert not job.model.exists()
        assert not job.metrics.exists()
        kept = sorted((job.work / "checkpoints").glob("*.pt"))
        assert kept
        assert not any(path.name.endswith("_swa.pt") for path in kept)
        assert 0 < mace_process.resume_epoch(job.work) < 12


@pytest.mark.slow
def test_a_student_that_diverges_keeps_its_last_good_checkpoint(tmp_path):
    """One DFT frame that is rarely drawn has forces whose squares are beyond all numbers."""
    files = {}
    for seed, (name, n) in enumerate({"train": 24, "valid": 6, "relabelled": 30}.items()):
        files[name] = tmp_path / f"{name}.extxyz"
        write_frames(files[name], distorted(n, seed))
    name = damage(files["train"], 1e200)
    settings = SETTINGS.model_copy(update={"dft_probability": 0.05})
    job = student_job(files, tmp_path / "dnn-kd", "dnn-kd")
    work = job.folder / "work"
    for _ in range(2):
        with pytest.raises(DivergedError) as caught:
            train_student(settings, job)
        text = str(caught.value)
        assert "student: the training diverged: at step" in text
        assert "the last good checkpoint, of step" in text
        assert f"largest forces: {name}" in text
        assert not list(job.folder.glob("*.pb"))
        assert not (job.folder / "metrics.json").exists()
        assert usable_checkpoint(work)[0] > 0


def test_lines_after_the_checkpoint_are_forgotten(tmp_path):
    """They tell of the divergence before; the training that goes on is judged by its own."""
    lines = ["# step rmse_e_trn rmse_f_trn\n", "0 1 3\n", "50 1 2\n", "60 nan nan\n", "7"]
    (tmp_path / "lcurve.out").write_text("".join(lines))
    forget_after(tmp_path, 50)
    assert learning_curve(tmp_path)["step"] == [0, 50]
    check_finite(learning_curve(tmp_path), "student.deepmd")
    forget_after(tmp_path, 0)
    assert learning_curve(tmp_path)["step"] == [0]
    forget_after(tmp_path / "none", 10)


def test_a_checkpoint_of_nan_is_passed_over(tmp_path, heard):
    import tensorflow as tf

    for step, value in ((10, 1.0), (20, np.nan)):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            tf.compat.v1.get_variable("weight", initializer=np.array([1.0, value]))
            session.run(tf.compat.v1.global_variables_initializer())
            tf.compat.v1.train.Saver().save(session, str(tmp_path / "model.ckpt"), step)
    state = "".join(f'all_model_checkpoint_paths: "model.ckpt-{step}"\n' for step in (10, 20))
    (tmp_path / "checkpoint").write_text(state)
    assert usable_checkpoint(tmp_path) == (10, "model.ckpt-10")
    assert "1 of its 1 variables are not finite" in heard.text
