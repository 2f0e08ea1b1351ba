"""Teachers of the second environment: real trainings of tiny networks, each in seconds.

They skip where `make env-teachers` has not been run (TEACHERS_ENV names another place).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import teachers
from ase.build import bulk
from killing import killed_when
from polymorphkd.errors import EngineError, InputError, StageError
from polymorphkd.frames import from_atoms, write_frames
from polymorphkd.predict import labels_of
from polymorphkd.readers import read_frames
from polymorphkd.settings import Teacher
from polymorphkd.teacher import TrainingJob, dp, load_teacher, train_teacher
from polymorphkd.teacher.committee import SPREAD
from polymorphkd.teacher.dp_environment import child_environment, located
from polymorphkd.teacher.dp_process import last_checkpoint, program_of, run_training
from polymorphkd.teacher.scores import rmse
from polymorphkd.teacher.training import read_training_set

pytestmark = pytest.mark.slow

# Networks of deepmd-gnn sum energies in the precision of their weights, and nequip has
# float32 alone: finite differences of large totals would show nothing but rounding.
TOLERANCE = {"dpa": 2e-5, "mace-deepmd": 2e-5, "nequip": 2e-3}


@pytest.fixture(scope="module", params=["dpa", "mace-deepmd", "nequip"])
def trained(request, tmp_path_factory) -> tuple[Teacher, TrainingJob]:
    settings = teachers.settings(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    job = teachers.make_job(folder, shifted=request.param != "nequip")
    train_teacher(settings, job)
    return settings, job


def test_training_learns_and_reports(trained):
    settings, job = trained
    metrics = json.loads(job.metrics.read_text())
    assert metrics["kind"] == settings.kind
    assert metrics["versions"]["deepmd-kit"]
    assert metrics["n_parameters"] > 0
    assert metrics["resumed_from_step"] == 0
    curve = metrics["learning_curve"]
    assert [point["step"] for point in curve] == list(range(1, teachers.SCHEDULE["steps"] + 1))
    if settings.kind == "dpa":  # it begins with energies that are far off
        assert curve[-1]["energy_meV_per_atom"] < 0.3 * curve[0]["energy_meV_per_atom"]
    else:
        assert curve[-1]["force_meV_per_A"] < 0.6 * curve[0]["force_meV_per_A"]
    assert not job.work.exists()
    # The file gives the reported errors, which are those of the curve's last point.
    valid = read_frames(job.valid)
    errors = rmse(valid, load_teacher(settings, [job.model], ["Al", "Cu"]).predict(valid))
    assert errors == pytest.approx(metrics["valid"], rel=1e-5)
    for name in ("energy_meV_per_atom", "force_meV_per_A"):
        assert errors[name] == pytest.approx(curve[-1][name], rel=0.01)


def test_labels_are_derivatives_of_one_energy(trained):
    settings, job = trained
    teacher = load_teacher(settings, [job.model])
    frame = teachers.emt_frames(1, 7)
    teachers.check_derivatives(teacher, frame, TOLERANCE[settings.kind])


_BIAS = """
import sys, deepmd.pt, torch
try:
    import deepmd_gnn
except ImportError:
    pass
model = torch.jit.load(sys.argv[1], map_location="cpu")
names = ("atomic_model.out_bias", "model.atomic_energies_fn.atomic_energies", "e0")
bias = [value for name, value in model.named_buffers() if name in names]
print("bias", *bias[0].flatten().tolist())
"""


def test_reference_energies_in_the_model_are_those_of_least_squares(trained, tmp_path):
    """Compositions are mixed: averages per frame would give other numbers."""
    _, job = trained
    (tmp_path / "model.pth").symlink_to(job.model)
    done = subprocess.run(
        [teachers.ENVIRONMENT / "bin/python", "-I", "-c", _BIAS, tmp_path / "model.pth"],
        capture_output=True,
        text=True,
        env={**os.environ, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "DEVICE": "cpu"},
        check=False,
    )
    assert "bias" in done.stdout, done.stderr
    line = next(text for text in done.stdout.splitlines() if text.startswith("bias"))
    frames = read_frames(job.train)
    counts = np.array([[(a.numbers == z).sum() for z in (13, 29)] for a in frames.to_atoms()])
    assert len(np.unique(counts, axis=0)) > 2
    expected = np.linalg.lstsq(counts, frames.energy, rcond=None)[0]
    np.testing.assert_allclose([float(v) for v in line.split()[1:]], expected, rtol=1e-6)
    metrics = json.loads(job.metrics.read_text())
    found = metrics["reference_energies_eV"]
    np.testing.assert_allclose([found["Al"], found["Cu"]], expected, rtol=1e-9)


def test_labels_depend_neither_on_the_batch_nor_on_the_order_of_atoms(trained):
    settings, job = trained
    teacher = load_teacher(settings, [job.model])
    frames = teachers.emt_frames(5, 3)
    energy, forces, stress = labels_of(teacher.predict(frames))
    image = frames.without_labels().atoms(2)
    image.set_cell(image.cell, scale_atoms=False)
    order = np.array([3, 1, 0, 2])
    alone = labels_of(teacher.predict(from_atoms([image[order]])))
    tolerance = 1e-3 if settings.kind == "nequip" else 1e-7
    assert alone[0][0] == pytest.approx(energy[2], abs=tolerance)
    np.testing.assert_allclose(alone[1], forces[frames.atoms_of(2)][order], atol=tolerance)
    np.testing.assert_allclose(alone[2][0], stress[2], atol=tolerance)


def test_what_the_model_does_not_know_is_refused(trained, tmp_path):
    settings, job = trained
    with pytest.raises(EngineError, match=r"model_0\.model: does not know Ni.*trained for Al, Cu"):
        load_teacher(settings, [job.model], ["Al", "Ni"])
    teacher = load_teacher(settings, [job.model])
    with pytest.raises(InputError, match="holds Ni; known are Al, Cu"):
        teacher.predict(teachers.emt_frames(1, 0, ("Ni",)))
    slab = bulk("Al", "fcc", 4.0)
    slab.pbc = (True, True, False)
    with pytest.raises(InputError, match="frame 0 is not periodic"):
        teacher.predict(from_atoms([slab]))
    (tmp_path / "own.pth").write_bytes(b"not a model")
    with pytest.raises(EngineError, match=r"own\.pth: cannot be loaded as a DeePMD model"):
        load_teacher(settings, [tmp_path / "own.pth"])


# One family stands for all in what follows: the code is the same.


def test_a_foreign_element_in_the_training_set_is_refused(tmp_path):
    job = teachers.make_job(tmp_path)
    with pytest.raises(InputError, match="holds Cu, which is not under elements"):
        train_teacher(teachers.settings("dpa"), replace(job, elements=["Al"]))
    with pytest.raises(StageError, match="no training frame holds Ni"):
        train_teacher(teachers.settings("dpa"), replace(job, elements=["Al", "Cu", "Ni"]))


@pytest.mark.skipif(sys.platform != "linux", reason="children die with their parent on Linux")
def test_a_killed_training_goes_on_and_joins_a_committee(tmp_path):
    settings = teachers.settings("mace-deepmd", steps=150)
    jobs = [teachers.make_job(tmp_path, k, seed=k + 1) for k in (0, 1)]

    def ripe(_: list[str]) -> bool:
        return last_checkpoint(jobs[0].work)[0] >= 30

    killed_when(train_teacher, (settings, jobs[0]), ripe, signal.SIGKILL, group=False)
    assert not jobs[0].model.exists()
    assert not jobs[0].metrics.exists()

    for job in jobs:
        train_teacher(settings, job)
    first, second = (json.loads(job.metrics.read_text()) for job in jobs)
    assert 30 <= first["resumed_from_step"] < 150
    assert second["resumed_from_step"] == 0
    for metrics in (first, second):  # without a gap, and no step twice
        steps = [point["step"] for point in metrics["learning_curve"]]
        assert steps == sorted({*range(3, 151, 3)})

    frames = teachers.emt_frames(3, 5)
    members = [load_teacher(settings, [job.model]).predict(frames) for job in jobs]
    both = load_teacher(settings, [job.model for job in jobs], ["Al", "Cu"]).predict(frames)
    one, other = (labels_of(member)[1] for member in members)
    np.testing.assert_allclose(labels_of(both)[1], (one + other) / 2, atol=1e-9)
    spread = np.abs(one - other) / np.sqrt(2)  # standard deviation of two
    expected = [spread[frames.atoms_of(i)].max() for i in range(3)]
    np.testing.assert_allclose(both.meta[SPREAD], expected, rtol=1e-6)
    assert (both.meta[SPREAD] > 1e-4).all()


def first_errors(settings: Teacher, job: TrainingJob) -> str:
    """Validation errors of a network that has not moved from its first weights."""
    family, python = getattr(settings, settings.section), located(settings.environment)
    sets = {
        name: read_training_set(getattr(job, name), job.elements) for name in ("train", "valid")
    }
    job.work.mkdir()
    dp._prepare(family, job, sets)
    run_training(program_of(python, job.work, child_environment(1, "cpu"), "teacher"), 1)
    return (job.work / "val.log").read_text()


@pytest.mark.parametrize("kind", ["nequip", "dpa"])
def test_the_seed_decides_the_first_weights(tmp_path, kind):
    """The order of the frames it does not: loaders of DeePMD-kit draw it in threads."""
    settings = teachers.settings(kind, steps=1, learning_rate=1e-9, final_learning_rate=1e-9)
    found = [
        first_errors(settings, teachers.make_job(tmp_path, k, seed))
        for k, seed in enumerate((1, 1, 2))
    ]
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_a_worker_that_dies_is_reported(tmp_path):
    settings = teachers.settings("dpa", steps=1)
    job = teachers.make_job(tmp_path)
    train_teacher(settings, job)
    teacher = load_teacher(settings, [job.model])
    teacher._potential._child.kill()
    with pytest.raises(EngineError, match=r"model_0\.model: the process .* ended"):
        teacher.predict(teachers.emt_frames(1, 0))


@pytest.mark.chain
def test_the_workflow_trains_relabels_and_evaluates_with_dpa(project):
    """The rules are those of the other families; a setting of another reruns nothing."""
    settings = teachers.settings("dpa").model_dump(mode="json")
    labelled = teachers.emt_frames(40, 0, ("Al",))
    write_frames(project.folder / "labelled.extxyz", labelled)
    more = teachers.emt_frames(12, 1, ("Al",)).without_labels()
    write_frames(project.folder / "supplementary.extxyz", more)
    section = {key: settings[key] for key in ("kind", "environment", "dpa")}
    values = {
        "elements": ["Al"],
        "inputs": {"labelled": "labelled.extxyz", "supplementary": "supplementary.extxyz"},
        "landscape": {"cutoff": 3.4},
        "teacher": section,
        "relabel": {"n_shards": 1, "max_force": 1000},
    }
    project.write({"materials": ["Al"], "seed": 1}, values)
    targets = [
        "results/Al/relabel/labelled.extxyz",
        "results/Al/evaluate/teacher/forces.parquet",
    ]
    project.run(*targets)
    metrics = json.loads((project.results / "teacher/metrics_0.json").read_text())
    assert metrics["kind"] == "dpa"
    relabelled = read_frames(project.results / "relabel/labelled.extxyz")
    assert len(relabelled) > 0
    assert relabelled.labelled

    other = {**section, "mace": {"epochs": 3}, "n_models": 1}
    project.write({"materials": ["Al"], "seed": 1}, {**values, "teacher": other})
    assert not project.planned(*targets)
    changed = {**section, "dpa": {**section["dpa"], "steps": 61}}
    project.write({"materials": ["Al"], "seed": 1}, {**values, "teacher": changed})
    assert {"train_teacher", "relabel_frames", "evaluate_model"} <= project.planned(*targets)
