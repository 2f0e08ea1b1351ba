"""The comparison of architectures on a small set labelled by EMT."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import teachers
from ase.build import bulk
from labelled_by_emt import write_labelled

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "architectures.py"
BUDGET = 30
"""Frames drawn, of which all families train on `FIT`; 2 of the 32 training frames are beyond."""

FIT = 26


@pytest.fixture
def labelled(tmp_path) -> Path:
    cell = bulk("Al", "fcc", a=4.0, cubic=True)
    return write_labelled(tmp_path / "Al.extxyz", cell, 40, 8, (0.04, 0.02), 0.15)


def run(data: Path, *families: str) -> dict:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--data", str(data), "--budget", str(BUDGET), "--quick",
         "--json", "out.json", "--work", "work", "--families", *families],
        cwd=data.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads((data.parent / "out.json").read_text())


@pytest.mark.slow
def test_the_descriptor_network_learns_the_frames_of_the_others(labelled, tmp_path):
    made = run(labelled, "dpmd")
    found = run(labelled, "dpmd", "mace")
    assert found["runs"]["1"]["dpmd"] == made["runs"]["1"]["dpmd"]  # taken from the file
    check(found, "dpmd", "mace")
    (descriptor,) = (tmp_path / "work").rglob("student-*/work/data")
    trained = sum(len(np.load(path)) for path in descriptor.glob("dft/*/set.000/energy.npy"))
    assert trained == found["frames"] == FIT


@pytest.mark.slow
@pytest.mark.parametrize("family", ["nequip", "dpa"])
def test_families_of_the_second_environment_take_part(labelled, family, monkeypatch):
    environment = Path(teachers.settings(family).environment)
    (labelled.parent / ".venv-teachers").symlink_to(environment)
    check(run(labelled, family), family)


def test_a_missing_environment_is_told_before_any_training(labelled):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--data", str(labelled), "--budget", str(BUDGET), "--quick",
         "--work", "work", "--families", "dpmd", "nequip"],
        cwd=labelled.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "make env-teachers" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (labelled.parent / "work").exists()


KEPT = SCRIPT.parent / "results" / "architectures_Si.json"


def test_results_that_are_kept_are_those_of_the_recipe(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from evidence.case import acting, architecture, recipe

    found = json.loads(KEPT.read_text())
    for family, kept in found["settings"].items():
        settings = recipe("Si", ["Si"], False, architecture(family, False), found["budget"])
        part = "student" if family == "dpmd" else "teacher"
        assert kept == {part: acting(settings)[part]}


def check(found: dict, *families: str) -> None:
    """Each family was judged on all of every set."""
    assert set(found["runs"]["1"]) == set(families)
    for name in families:
        model = found["runs"]["1"][name]
        assert set(model) >= {"test", "rest", "fit", "cpu_seconds", "origin"}
        for part, count in {"test": 8, "rest": 2, "fit": FIT}.items():
            assert model[part]["frames"] == count
            assert all(0 < model[part][q] < 1e4 for q in ("energy", "force", "virial"))
