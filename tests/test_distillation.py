"""The distillation benchmark on a small set labelled by EMT: every stage, and going on."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from polymorphkd.frames import from_atoms, write_frames

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "distillation.py"


@pytest.fixture
def labelled(tmp_path) -> Path:
    """Forty strained and rattled cells of Al, eight of them the test set."""
    random = np.random.default_rng(3)
    images = []
    for _ in range(40):
        atoms = bulk("Al", "fcc", a=4.0, cubic=True)
        strain = np.eye(3) * (1 + random.uniform(-0.04, 0.04)) + random.normal(0, 0.02, (3, 3))
        atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
        atoms.rattle(0.15, rng=random)
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.info["REF_stress"] = atoms.get_stress()
        atoms.arrays["REF_forces"] = atoms.get_forces()
        atoms.calc = None
        images.append(atoms)
    path = tmp_path / "Al.extxyz"
    write_frames(path, from_atoms(images).with_meta(split=["test"] * 8 + ["train"] * 32))
    return path


def run(data: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--data", str(data), "--budget", "12", "--quick", *more],
        cwd=data.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_every_model_is_made_judged_and_kept(labelled, tmp_path):
    output = tmp_path / "out.json"
    options = ("--json", str(output), "--work", str(tmp_path / "work"))
    first = run(labelled, *options, "--models", "teacher", "dnn")
    assert first.returncode == 0, first.stderr
    made = json.loads(output.read_text())
    assert set(made["runs"]["1"]) == {"teacher", "dnn"}
    assert made["kd_against_dnn"] == {}

    second = run(labelled, *options, "--models", "teacher", "dnn", "dnn-kd")
    assert second.returncode == 0, second.stderr
    found = json.loads(output.read_text())
    for name in ("teacher", "dnn"):  # taken from the file, not made again
        assert found["runs"]["1"][name] == made["runs"]["1"][name]
    assert set(found["runs"]["1"]) == {"teacher", "dnn", "dnn-kd"}
    assert set(found["kd_against_dnn"]) == {"energy", "force", "virial"}
    for model in found["runs"]["1"].values():
        assert all(0 < model["test"][q] < 5000 for q in ("energy", "force", "virial"))
    assert "| dnn-kd | 1 |" in second.stdout

    third = run(labelled, *options, "--models", "dnn-kd", "--shares", "0.8")
    assert third.returncode == 0, third.stderr
    runs = json.loads(output.read_text())["runs"]["1"]
    assert set(runs) == {"teacher", "dnn", "dnn-kd", "dnn-kd-0.8"}
    assert runs["dnn-kd"] == found["runs"]["1"]["dnn-kd"]
    assert runs["dnn-kd-0.8"]["test"] != runs["dnn-kd"]["test"]
    assert "| dnn-kd-0.8 | 1 |" in third.stdout
    trained = tmp_path / "work/Al-12-1/dnn-kd-0.8/work/input.json"
    assert "prob_sys_size;0:1:0.8;" in trained.read_text()

    # The budget is 12 frames, the teacher fits some of them and is checked on the others.
    case = tmp_path / "work" / "Al-12-1"
    counts = {
        name: (case / f"{name}.extxyz").read_text().count("Lattice")
        for name in ("budget", "fit", "check", "rest", "pool", "test")
    }
    assert counts == {"budget": 12, "fit": 10, "check": 2, "rest": 20, "pool": 32, "test": 8}

    other = run(labelled, *options[:3], str(tmp_path / "work"), "--budget", "9")
    assert other.returncode != 0
    assert "other data or settings" in other.stderr


def test_a_share_beyond_one_is_refused(labelled):
    done = run(labelled, "--shares", "1.5")
    assert done.returncode == 2
    assert "--shares: expected numbers between 0 and 1" in done.stderr


def test_a_set_without_a_test_split_is_refused(tmp_path):
    path = tmp_path / "Al.extxyz"
    write_frames(path, from_atoms([bulk("Al", "fcc", a=4.05)]))
    done = run(path)
    assert done.returncode != 0
    assert "every frame needs split=train or split=test" in done.stderr
