"""A disk that is full, a file that may not grow: one message, no half of a file, and then on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from polymorphkd import provenance
from polymorphkd.errors import StageError
from polymorphkd.frames import concatenate, write_frames
from polymorphkd.label.machine import ending
from polymorphkd.student import train_student
from polymorphkd.teacher import train_teacher
from test_student import SETTINGS as STUDENT
from test_student import distorted
from test_student import job as student_job
from test_teacher import SETTINGS as TEACHER
from test_teacher import make_job

MEGABYTES = 16


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A file system of its own, of few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)]
    try:
        subprocess.run(["mount", *options], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path, left: int) -> Path:
    """Leave `left` bytes free; what takes the room is one file."""
    path = disk / "ballast"
    path.write_bytes(bytes(MEGABYTES * 2**20 - left))
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["frames.parquet", "frames.extxyz"])
def test_frames_that_do_not_fit_leave_what_was_there(disk, name):
    few, many = distorted(2, 1), concatenate([distorted(40, seed) for seed in range(5)])
    write_frames(disk / name, few)
    before = (disk / name).read_bytes()
    ballast = fill(disk, 20_000)
    with pytest.raises(StageError, match=rf"{name}: cannot be written: No space left on device"):
        write_frames(disk / name, many)
    assert names(disk) == {name, "ballast"}
    assert (disk / name).read_bytes() == before
    ballast.unlink()
    write_frames(disk / name, many)
    assert len((disk / name).read_bytes()) > len(before)


def test_a_file_that_may_not_grow_is_the_same(tmp_path):
    program = (
        "import resource\n"
        "from polymorphkd.provenance import write_json\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        f"write_json({str(tmp_path / 'a.json')!r}, list(range(10_000)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "StageError" in done.stderr
    assert "a.json: cannot be written: File too large" in done.stderr
    assert not names(tmp_path)


@pytest.mark.parametrize(
    ("code", "output", "expected"),
    [
        (1, "IndexError: 3", "exit status 1"),
        (-9, "", "killed by signal 9"),
        (1, "OSError: [Errno 28] No space left on device", "exit status 1, disk full"),
        (1, "RuntimeError: Cannot allocate memory", "exit status 1, out of memory"),
    ],
)
def test_how_a_program_ended_tells_what_the_machine_did(
    tmp_path, monkeypatch, code, output, expected
):
    monkeypatch.setattr(provenance, "ROOM", 0)  # whatever is left here
    assert ending(code, output, tmp_path) == expected
    monkeypatch.setattr(provenance, "ROOM", 1 << 62)
    unexplained = expected == "exit status 1"  # a kill comes from elsewhere
    assert ending(code, output, tmp_path) == expected + ", disk full" * unexplained


_JOB = """
import sys
from pathlib import Path
import numpy as np
from polymorphkd.progress import job
from polymorphkd.provenance import write_json
folder = Path(sys.argv[1])
with job(folder / "job.log", "test"):
    if sys.argv[2] == "whole":
        write_json(folder / "result.json", list(range(10**6)))
    np.save(folder / "array.npy", np.zeros(10**6))
"""


@pytest.mark.parametrize(
    ("way", "part"), [("whole", "result.json: cannot be written"), ("other", "the disk is full")]
)
def test_a_job_on_a_full_disk_ends_with_one_message(disk, way, part):
    """Its log lies on that disk, too."""
    fill(disk, 4096)
    done = subprocess.run(
        [sys.executable, "-c", _JOB, str(disk), way], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert part in lines[0]
    assert "make room and start again" in lines[0]


@pytest.mark.slow
def test_a_teacher_on_a_full_disk_says_so_and_goes_on_when_there_is_room(disk, tmp_path):
    job = replace(
        make_job(tmp_path),
        model=disk / "model_0.model",
        metrics=disk / "metrics_0.json",
        work=disk / "work_0",
    )
    ballast = fill(disk, 900_000)  # two or three checkpoints
    with pytest.raises(StageError, match=r"mace_run_train failed \(exit status 1, disk full\)"):
        train_teacher(TEACHER, job)
    assert names(disk) == {"ballast", "work_0"}
    ballast.unlink()
    train_teacher(TEACHER, job)
    assert json.loads(job.metrics.read_text())["resumed_from_epoch"] > 0
    assert job.model.is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("left", "what"), [(145_000, "train"), (645_000, "train"), (1_645_000, "compress")]
)
def test_a_student_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    disk, tmp_path, left, what
):
    files = {}
    for seed, (name, n) in enumerate({"train": 24, "valid": 6}.items()):
        files[name] = tmp_path / f"{name}.extxyz"
        write_frames(files[name], distorted(n, seed))
    short = STUDENT.model_copy(update={"deepmd": STUDENT.deepmd.model_copy(update={"steps": 100})})
    ballast = fill(disk, left)
    with pytest.raises(StageError, match=rf"dp {what} failed \(exit status 1, disk full\)"):
        train_student(short, student_job(files, disk / "dnn"))
    assert names(disk / "dnn") == {"work"}
    ballast.unlink()
    train_student(short, student_job(files, disk / "dnn"))
    metrics = json.loads((disk / "dnn" / "metrics.json").read_text())
    assert metrics["learning_curve"]["step"][-1] == 100
    if what == "compress":
        assert metrics["resumed_from_step"] == 100
    assert names(disk / "dnn") == {
        "work",
        "model.pb",
        "potential.lmp",
        "frozen.pb",
        "metrics.json",
    }
