"""Digests, random streams, files written whole, and the log of a job."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY
from polymorphkd import provenance


def test_random_streams_belong_to_their_item():
    one = provenance.rng(1, "Al", "generate", 3).random(4)
    assert (one == provenance.rng(1, "Al", "generate", 3).random(4)).all()
    for other in [(2, "Al", "generate", 3), (1, "Cu", "generate", 3), (1, "Al", "select", 3),
                  (1, "Al", "generate", 4)]:  # fmt: skip
        assert (one != provenance.rng(*other).random(4)).all()


def test_code_digest_sees_statements_and_no_words(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    file = tmp_path / "room.py"

    def digest(text):
        file.write_text(text)
        return provenance.code_digest("room")

    first = digest('"""Doc."""\ndef f(x):\n    """Doc."""\n    return x + 1  # one\n')
    assert first == digest('"""Other."""\n\n\ndef f(x):\n    return (x + 1)\n')
    assert first != digest("def f(x):\n    return x + 2\n")


def test_algorithm_versions_are_found_without_an_import():
    for room in ("label", "teacher", "student", "properties"):
        assert provenance.algorithm_version(room) >= 1
    with pytest.raises(KeyError, match="report: no ALGORITHM_VERSION"):
        provenance.algorithm_version("report")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with provenance.atomic_path(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def interrupted(method):
    """The method, and Ctrl-C just after it."""

    def then_interrupt(*arguments, **options):
        method(*arguments, **options)
        raise KeyboardInterrupt

    return then_interrupt


def test_a_signal_just_after_a_file_or_folder_is_made_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "touch", interrupted(Path.touch))
    with pytest.raises(KeyboardInterrupt), provenance.atomic_path(tmp_path / "a.txt"):
        raise AssertionError("not reached")
    monkeypatch.setattr(Path, "mkdir", interrupted(Path.mkdir))
    with pytest.raises(KeyboardInterrupt), provenance.scratch_folder(tmp_path, ".work-"):
        raise AssertionError("not reached")
    assert not list(tmp_path.iterdir())


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        provenance.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()


def run_job(tmp_path, body):
    program = (
        "import os, sys\n"
        f"sys.path.insert(0, {str(REPOSITORY / 'scripts')!r})\n"
        "from polymorphkd.errors import InputError\n"
        "from polymorphkd.progress import job, logger\n"
        f"with job({str(tmp_path / 'job.log')!r}, 'stage'):\n    {body}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    return done, (tmp_path / "job.log").read_text()


def test_a_job_shows_its_lines_and_keeps_chatter_in_the_log(tmp_path):
    body = "logger.info('3 of 4'); print('chatter'); os.write(2, b'from C')"
    done, log = run_job(tmp_path, body)
    assert done.returncode == 0
    assert "stage        3 of 4" in done.stderr
    assert "chatter" not in done.stdout + done.stderr
    assert "from C" not in done.stderr
    assert "chatter" in log
    assert "from C" in log


def test_a_job_ends_with_one_message(tmp_path):
    done, log = run_job(tmp_path, "raise InputError('POSCAR: empty')")
    assert done.returncode == 1
    assert done.stderr.strip() == "stage        ERROR: POSCAR: empty"
    done, log = run_job(tmp_path, "1 / 0")
    assert done.returncode == 1
    assert "ZeroDivisionError: division by zero (traceback in" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in log
