"""The distillation benchmark on a small set labelled by EMT: every stage, and going on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.build import bulk, make_supercell
from labelled_by_emt import write_labelled
from polymorphkd.frames import from_atoms, write_frames
from polymorphkd.readers import read_frames

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "distillation.py"


@pytest.fixture
def labelled(tmp_path) -> Path:
    """Forty cells of four atoms of Al, eight of them the test set."""
    cell = bulk("Al", "fcc", a=4.0, cubic=True)
    return write_labelled(tmp_path / "Al.extxyz", cell, 40, 8, (0.04, 0.02), 0.15)


def run(data: Path, *more: str) -> subprocess.CompletedProcess[str]:
    budget = [] if "--budget" in more else ["--budget", "12"]
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--data", str(data), *budget, "--quick", *more],
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
    test = read_frames(labelled).forces[: 8 * 4]
    nothing = 1e3 * np.sqrt((test**2).mean())  # meV/Å, of a model without forces
    for model in found["runs"]["1"].values():
        assert all(model["test"][q] > 0 for q in ("energy", "force", "virial"))
        assert model["test"]["force"] < 0.8 * nothing
        assert model["origin"]["commit"]
    assert "| dnn-kd | 1 |" in second.stdout

    (tmp_path / "scan.yaml").write_text("student: {scan: {more: {dft_probability: 0.8}}}\n")
    scan = ("--scan", "--set", str(tmp_path / "scan.yaml"))
    third = run(labelled, *options, "--models", "dnn-kd", *scan, "--cost")
    assert third.returncode == 0, third.stderr
    runs = json.loads(output.read_text())["runs"]["1"]
    assert set(runs) == {"teacher", "dnn", "dnn-kd", "dnn-kd more"}
    for name in ("dnn-kd", "dnn-kd more"):
        spent = runs[name].pop("cost")
        assert 1 < spent["us_per_atom_step"] < 10_000
        assert spent["timing_atoms"] >= 4000
    assert runs["dnn-kd"] == found["runs"]["1"]["dnn-kd"]
    assert runs["dnn-kd more"]["differs"] == {"dft_probability": 0.8}
    assert runs["dnn-kd more"]["test"] != runs["dnn-kd"]["test"]
    assert "| dnn-kd more | 1 |" in third.stdout
    assert "µs per atom and step" in third.stdout
    inputs = [path.read_text() for path in (tmp_path / "work").rglob("student-*/work/input.json")]
    assert sum("prob_sys_size;0:1:0.8;" in text for text in inputs) == 1

    # What was trained with other settings is not taken for this: neither numbers nor models.
    (tmp_path / "longer.yaml").write_text("student: {deepmd: {steps: 240}}\n")
    longer = ("--set", str(tmp_path / "longer.yaml"))
    refused = run(labelled, *options, *longer)
    assert refused.returncode != 0
    assert "holds results of other settings; give another name" in refused.stderr
    assert "Traceback" not in refused.stderr
    again = (*options[2:], "--json", str(tmp_path / "longer.json"), *longer)
    fourth = run(labelled, *again, "--models", "teacher", "dnn")
    assert fourth.returncode == 0, fourth.stderr
    runs_of_longer = json.loads((tmp_path / "longer.json").read_text())["runs"]["1"]
    assert runs_of_longer["teacher"]["test"] == runs["teacher"]["test"]
    assert runs_of_longer["dnn"]["test"] != runs["dnn"]["test"]

    # Seeds and models that are not asked for stay in the file.
    last = json.loads(output.read_text())
    last["runs"]["2"] = last["runs"]["1"]
    output.write_text(json.dumps(last))
    fifth = run(labelled, *options, "--models", "teacher")
    assert fifth.returncode == 0, fifth.stderr
    assert json.loads(output.read_text())["runs"] == last["runs"]

    sixth = run(labelled, *options, "--models", "teacher", "--seeds", "3", "--first-seed", "3")
    assert sixth.returncode == 0, sixth.stderr
    grown = json.loads(output.read_text())["runs"]
    assert set(grown) == {"1", "2", "3"}
    assert set(grown["3"]) == {"teacher"}
    assert grown["3"]["teacher"]["test"] != grown["1"]["teacher"]["test"]

    other = run(labelled, *options, "--budget", "9")
    assert other.returncode != 0
    assert "holds results of other budget" in other.stderr


@pytest.mark.parametrize(
    ("budget", "counts"),
    [
        # Few frames: the teacher fits all of them; many: it is checked on others.
        (29, {"budget": 29, "fit": 29, "check": 4, "rest": 3, "pool": 32, "test": 8}),
        (30, {"budget": 30, "fit": 26, "check": 4, "rest": 2, "pool": 32, "test": 8}),
    ],
)
def test_the_frames_of_the_test_are_in_no_other_set(
    labelled, tmp_path, monkeypatch, budget, counts
):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from evidence.case import FEW, SETS, make_case

    case = make_case(labelled, budget, 1, tmp_path / "work")
    ids = {name: set(case.frames(name).frame_ids()) for name in SETS}
    assert {name: len(held) for name, held in ids.items()} == counts
    assert not ids["test"] & ids["pool"]
    assert ids["fit"] | ids["check"] == ids["budget"]
    assert ids["budget"] | ids["rest"] == ids["pool"]
    assert (not ids["fit"] & ids["check"]) == (budget >= FEW)


DIRECTION = """
teacher: {mace: {epochs: 300, channels: 16, r_max: 4.5, learning_rate: 0.01}}
generate: {evaluations: 600, amplitudes: {displacement: 0.15, volume: 0.04, shear: 0.05}}
select: {supplementary: {count: 150}}
relabel: {walk: {steps: 0}}
student:
  deepmd:
    {steps: 8000, fine_tune_steps: 0, rcut: 4.5, batch_atoms: 2,
     embedding: [8, 16], fitting: [32, 32]}
"""
"""Cells of two atoms, so that thousands of steps take a minute and eight frames are few."""


@pytest.mark.slow
def test_where_frames_are_few_a_student_learns_more_from_the_teacher(tmp_path):
    cell = make_supercell(bulk("Al", "fcc", a=4.0), np.diag([1, 1, 2]))
    data = write_labelled(tmp_path / "Al.extxyz", cell, 100, 50, (0.03, 0.04), (0.05, 0.3))
    (tmp_path / "set.yaml").write_text(DIRECTION)
    done = run(
        data, "--budget", "8", "--set", str(tmp_path / "set.yaml"), "--json", "out.json",
        "--work", "work", "--models", "teacher", "dnn", "dnn-kd",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    run_1 = found["runs"]["1"]
    assert run_1["teacher"]["test"]["force"] < 0.6 * run_1["dnn"]["test"]["force"]
    assert found["kd_against_dnn"]["force"] < -0.1, found["kd_against_dnn"]
    assert found["kd_against_dnn"]["energy"] < 0
    assert found["kd_against_dnn"]["virial"] < 0


def test_an_estimate_heeds_the_settings_of_a_file(labelled, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import distillation

    output, small = tmp_path / "out.json", tmp_path / "small.yaml"
    head = distillation.heading(labelled, 12, False, {"student": {"size": "small"}})
    output.write_text(json.dumps({**head, "runs": {}}))
    small.write_text("student: {size: small}\n")
    done = run(labelled, "--estimate", "--json", str(output), "--set", str(small))
    assert "12 trainings and what they need" in done.stdout, done.stderr
    other = run(labelled, "--estimate", "--json", str(output))
    assert "holds results of other settings" in other.stderr


def test_an_estimate_counts_students_of_the_same_kind_and_size(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from evidence import results

    monkeypatch.setattr(results, "RESULTS", tmp_path)
    sizes = {"a": {"kind": "deepmd", "size": "medium"}, "b": {"kind": "pod"}}
    for seconds, (name, student) in enumerate(sizes.items(), start=1):
        runs = {"1": {"teacher": {"cpu_seconds": 10 * seconds}, "dnn": {"cpu_seconds": seconds}}}
        content = {"data": "Al.extxyz", "quick": False, "settings": {"student": student}}
        (tmp_path / f"{name}.json").write_text(json.dumps({**content, "runs": runs}))
    assert results.measured("*.json", "Al.extxyz", sizes["b"]) == {"teacher": [10, 20], "dnn": [2]}
    assert results.measured("*.json", "Al.extxyz")["dnn"] == [1, 2]
    assert results.measured("*.json", "Cu.extxyz", sizes["a"]) == {}


RESULTS = sorted((SCRIPT.parent / "results").glob("distillation_*.json"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_that_are_kept_are_those_of_the_recipe(path, monkeypatch):
    """Else `make evidence` would refuse to add to them, and the documents be of another recipe."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from evidence.case import acting, fit_count, recipe

    found = json.loads(path.read_text())
    symbol = found["data"].removesuffix(".extxyz")
    file = SCRIPT.parent / "evidence" / f"{path.stem.rpartition('_')[2]}.yaml"
    changes = yaml.safe_load(file.read_text()) if file.is_file() else {}
    settings = recipe(symbol, [symbol], False, changes, found["budget"])
    assert found["settings"] == acting(settings)
    assert found["teacher_frames"] == fit_count(found["budget"])


WRITER = """
import sys
from pathlib import Path
from evidence.results import Results
results = Results(Path("kept/out.json"), {"data": "x"}, lambda runs: {"models": len(runs)})
for step in range(40):
    results.put(int(sys.argv[1]), f"model {step}", {"value": step})
"""


def test_runs_at_once_fill_one_file(tmp_path):
    commands = [[sys.executable, "-c", WRITER, str(seed)] for seed in (3, 1, 2)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPT.parent), *sys.path])}
    children = [subprocess.Popen(one, cwd=tmp_path, env=environment) for one in commands]
    assert [child.wait() for child in children] == [0, 0, 0]
    found = json.loads((tmp_path / "kept" / "out.json").read_text())
    steps = {f"model {step}": {"value": step} for step in range(40)}
    assert found == {"data": "x", "runs": {"1": steps, "2": steps, "3": steps}, "models": 3}
    assert list(found["runs"]) == ["1", "2", "3"]


def test_a_first_seed_beyond_the_last_is_refused(labelled):
    done = run(labelled, "--first-seed", "4")
    assert done.returncode == 1
    assert "--first-seed 4: beyond the last one, --seeds 3" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--budget", "0"), "a budget of 0 frames: at least 4 are needed"),
        (("--budget", "33"), "32 training frames, fewer than 33"),
        (("--budget", "33", "--estimate"), "32 training frames, fewer than 33"),
        (("--set", "none.yaml"), "none.yaml: no such file"),
        (("--set", "text.yaml"), "text.yaml: expected keys and values, found str"),
        (("--json", "torn.json"), "torn.json: not valid JSON"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_made(labelled, tmp_path, more, message):
    (tmp_path / "text.yaml").write_text("a text\n")
    (tmp_path / "torn.json").write_text('{"data": ')
    done = run(labelled, *more)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_scan_of_nothing_is_refused(labelled):
    done = run(labelled, "--scan")
    assert done.returncode == 1
    assert "--scan: the recipe of Al at 12 frames has no student.scan" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_set_without_a_test_split_is_refused(tmp_path):
    path = tmp_path / "Al.extxyz"
    write_frames(path, from_atoms([bulk("Al", "fcc", a=4.05)]))
    done = run(path)
    assert done.returncode != 0
    assert "every frame needs split=train or split=test" in done.stderr
    assert "Traceback" not in done.stderr
