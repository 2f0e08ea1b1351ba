"""The benchmark of sizes, coverage, selection and generation, on a set labelled by EMT."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from labelled_by_emt import label
from matplotlib.image import imread
from polymorphkd.frames import from_atoms, write_frames
from polymorphkd.readers import read_frames
from polymorphkd.select import near

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


MATERIALS = {"Al_landscape": 0.25, "Al_md": 0.08, "Al_from_Cu": 0.2}
"""Names and noise, Å."""


@pytest.fixture
def results(tmp_path) -> Path:
    """Labels of all materials where the workflow leaves them."""
    random = np.random.default_rng(5)
    for material, noise in MATERIALS.items():
        images = []
        for _ in range(40):
            atoms = bulk("Al", "fcc", a=random.uniform(3.5, 4.4), cubic=True)
            atoms.rattle(noise * random.random(), rng=random)
            label(atoms)
            images.append(atoms)
        folder = tmp_path / "results" / material / "label"
        folder.mkdir(parents=True)
        write_frames(folder / "labelled.extxyz", from_atoms(images))
    return tmp_path / "results"


@pytest.fixture
def modules(monkeypatch):
    """The benchmark's modules, importable."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import learning
    from evidence import aluminium

    return learning, aluminium


def run(cwd: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / "learning.py"), "--quick", *more],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_a_study_trains_scores_and_goes_on(results, tmp_path):
    output = tmp_path / "out.json"
    options = ("--studies", "generation", "--json", str(output))
    first = run(tmp_path, *options)
    assert first.returncode == 0, first.stderr
    found = json.loads(output.read_text())["studies"]["generation"]
    assert set(found) == {"generated 12", "md 12", "both 12"}
    for seeds in found.values():
        errors = seeds["1"]["errors"]
        assert set(errors) == {"generated", "md", "compressed"}
        assert all(0 < part["force"] < 10_000 for part in errors.values())
        assert seeds["1"]["cpu_seconds"] > 1
    assert "| md 12 | 1 |" in first.stdout
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "results/learning").rglob("model.pb")}
    assert len(stamps) == 3
    ahead = run(tmp_path, "--studies", "generation", "scaling", "--estimate")
    assert "studies of Al: 2 trainings" in ahead.stdout, ahead.stderr
    second = run(tmp_path, *options)
    assert second.returncode == 0, second.stderr
    assert json.loads(output.read_text())["studies"]["generation"] == found
    assert stamps == {p: p.stat().st_mtime_ns for p in stamps}


@pytest.mark.slow
def test_studies_draw_their_figures(results, tmp_path):
    options = ("--studies", "scaling", "coverage", "--figures", "figures")
    done = run(tmp_path, *options, "--json", "out.json")
    assert done.returncode == 0, done.stderr
    for name in ("scaling", "coverage"):
        width, height, *_ = imread(tmp_path / f"figures/{name}.png").shape
        assert min(width, height) > 300


def test_without_labels_it_names_the_command(tmp_path):
    done = run(tmp_path)
    assert done.returncode != 0
    assert "snakemake --until gather_labels" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_fifth_frame_is_the_test_and_training_sets_keep_clear_of_it(results, modules):
    learning, aluminium = modules
    data = aluminium.read_set(results)
    for made in ("md", "generated"):
        assert 6 <= len(data.rows(True, made)) <= 8
    tests, training = (
        data.frames.take(np.concatenate([data.rows(test, made) for made in ("md", "generated")]))
        for test in (True, False)
    )
    assert not near(training, tests, aluminium.LANDSCAPE, 0.01).any()
    study = learning.Study(data, learning.recipe("Al", ["Al"], True, {}), results, 2, True)
    held_out = {name for part in study.tests().values() for name in part.frame_ids()}
    for name in ("scaling", "coverage", "selection", "generation", "transfer"):
        for case, seed, training, _ in learning.STUDIES[name](study):
            assert not held_out & set(training.frames.frame_ids()), (name, case, seed)


def test_the_exported_set_has_the_same_split(results, modules, tmp_path):
    _, aluminium = modules
    data = aluminium.read_set(results)
    done = run(tmp_path, "--export", "Al.extxyz")
    assert done.returncode == 0, done.stderr
    found = read_frames(tmp_path / "Al.extxyz")
    assert len(found) == 80
    assert found.meta["group"].value_counts().to_dict() == {"generated": 40, "md": 40}
    held_out = np.concatenate([data.rows(True, made) for made in ("generated", "md")])
    tests = found.take(np.flatnonzero(found.meta["split"] == "test"))
    assert set(tests.frame_ids()) == set(data.frames.take(held_out).frame_ids())
    assert tests.energy is not None


def test_methods_are_compared_at_equal_counts_and_seeds_draw_differently(results, modules):
    learning, aluminium = modules
    data = aluminium.read_set(results)
    study = learning.Study(data, learning.recipe("Al", ["Al"], True, {}), results, 2, True)
    drawn = {(c, s): t.frames.frame_ids() for c, s, t, _ in learning.selection(study)}
    assert {len(names) for names in drawn.values()} == {12}
    assert sorted(drawn[("random 12", 1)]) != sorted(drawn[("random 12", 2)])


def test_the_hole_is_the_disordered_corner_and_biased_sets_avoid_it(results, modules):
    learning, aluminium = modules
    random = np.random.default_rng(0)
    ranks = random.random((400, 2))
    frames = from_atoms([bulk("Al")] * 400)
    frames.meta = pd.DataFrame({"sS": -10 * (1 - ranks[:, 0]), "Q6": 0.5 * ranks[:, 1]})
    hole = learning.in_hole(frames, frames)
    assert 0.3 < hole.mean() < 0.4
    assert frames.meta["sS"][hole].min() > frames.meta["sS"].median() - 2
    assert frames.meta["Q6"][hole].max() < frames.meta["Q6"].median() + 0.1
    data = aluminium.read_set(results)
    study = learning.Study(data, learning.recipe("Al", ["Al"], True, {}), results, 1, True)
    reference = study.pool("generated")[1]
    sets = {c: t.frames for c, _, t, _ in learning.coverage(study)}
    assert len(sets["uniform 12"]) == len(sets["biased 12"]) == 12
    assert learning.in_hole(sets["biased 12"], reference).sum() == 0
    assert learning.in_hole(sets["uniform 12"], reference).sum() > 0


def test_transferred_frames_are_drawn_by_their_study_alone_and_their_absence_is_told(
    results, modules, tmp_path
):
    learning, aluminium = modules
    data = aluminium.read_set(results)
    study = learning.Study(data, learning.recipe("Al", ["Al"], True, {}), results, 1, True)
    kinds = {c: set(t.frames.meta["made"]) for c, _, t, _ in learning.transfer(study)}
    assert kinds == {
        "generated 12": {"generated"},
        "transferred 12": {"transferred"},
        "both 12": {"generated", "transferred"},
    }
    for name in ("scaling", "coverage", "selection", "generation"):
        for _, _, training, tests in learning.STUDIES[name](study):
            for frames in (training.frames, *tests.values()):
                assert "transferred" not in set(frames.meta["made"])
    (results / "Al_from_Cu/label/labelled.extxyz").unlink()
    done = run(tmp_path, "--studies", "transfer")
    assert done.returncode != 0
    assert "make evidence-transfer" in done.stderr
    assert not (tmp_path / "results/learning").exists()
