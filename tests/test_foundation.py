"""A teacher that starts from another model's weights (inputs.foundation)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import teachers
from mace_files import untrained_mace
from polymorphkd.config import validate
from polymorphkd.errors import ConfigError, InputError
from polymorphkd.frames import write_frames
from polymorphkd.predict import labels_of
from polymorphkd.preflight import preflight
from polymorphkd.readers import read_frames
from polymorphkd.settings import Mace, Teacher
from polymorphkd.teacher import TrainingJob, check_teacher, load_teacher, train_teacher

NETWORK = {
    "r_max": 4.0, "channels": 4, "max_L": 0, "max_ell": 1, "correlation": 2, "interactions": 1,
    "batch_size": 2, "device": "cpu",
}  # fmt: skip


def settings(**changes: object) -> Teacher:
    return Teacher(mace=Mace.model_validate({**NETWORK, **changes}))


@pytest.fixture(scope="module")
def foundation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of Al and Cu that has learned their binding, with energies of its own code."""
    job = teachers.make_job(tmp_path_factory.mktemp("foundation"), shifted=False)
    train_teacher(settings(epochs=25, learning_rate=0.02, dtype="float64"), job)
    return job.model


def fine_tuning(folder: Path, foundation: Path | None, **changes: object) -> TrainingJob:
    """Eight frames of aluminium whose energies lie 50 eV per atom below the foundation's."""
    for name, n, seed in (("train", 8, 5), ("valid", 6, 6)):
        frames = teachers.emt_frames(n, seed, ("Al",), shifted=True)
        write_frames(folder / f"{name}.extxyz", frames)
    job = replace(teachers.make_job(folder), elements=["Al"], foundation=foundation)
    return replace(job, **changes)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_training_starts_from_the_weights_and_energies_of_the_foundation(
    tmp_path: Path, foundation: Path, dtype: str
) -> None:
    """With a rate next to zero the teacher is the foundation, but for a constant per atom.

    The network of the settings differs and does not count.
    """
    still = settings(
        epochs=1, learning_rate=1e-12, dtype=dtype, channels=8, r_max=5.0, interactions=2
    )
    job = fine_tuning(tmp_path, foundation)
    train_teacher(still, job)
    frames = read_frames(job.valid)
    teacher = load_teacher(still, [job.model], ["Al"])
    first = load_teacher(still, [foundation], ["Al"])
    energies, forces, stresses = labels_of(teacher.predict(frames))
    before = labels_of(first.predict(frames))
    tolerance = 1e-9 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(forces, before[1], atol=tolerance)
    np.testing.assert_allclose(stresses, before[2], atol=tolerance)
    shift = (energies - before[0]) / frames.n_atoms
    np.testing.assert_allclose(shift, shift[0], atol=tolerance)
    train = read_frames(job.train)
    unexplained = (train.energy - first.predict(train).energy) / train.n_atoms
    assert shift[0] == pytest.approx(unexplained.mean(), abs=1e-5)  # all cells have four atoms
    assert shift[0] == pytest.approx(teachers.OFFSETS["Al"], abs=0.1)
    metrics = json.loads(job.metrics.read_text())
    origin = metrics["foundation"]
    assert origin["file"] == foundation.name
    assert (origin["r_max"], origin["hidden_irreps"], origin["layers"]) == (4.0, "4x0e", 1)
    assert origin["valid"] == pytest.approx(metrics["valid"], rel=1e-3)
    assert metrics["reference_energies_eV"]["Al"] == pytest.approx(
        first.reference("Al") + shift[0], abs=1e-4
    )


@pytest.mark.slow
def test_few_frames_teach_more_from_a_foundation_than_from_nothing(
    tmp_path: Path, foundation: Path
) -> None:
    errors = {}
    for name, start in (("tuned", foundation), ("fresh", None)):
        (tmp_path / name).mkdir()
        job = fine_tuning(tmp_path / name, start)
        train_teacher(settings(epochs=10, learning_rate=0.005), job)
        metrics = json.loads(job.metrics.read_text())
        errors[name] = metrics["valid"]
        if start:
            before = metrics["foundation"]["valid"]
    assert errors["tuned"]["force_meV_per_A"] < 0.5 * errors["fresh"]["force_meV_per_A"]
    assert errors["tuned"]["energy_meV_per_atom"] < errors["fresh"]["energy_meV_per_atom"]
    assert errors["tuned"]["force_meV_per_A"] < before["force_meV_per_A"]


# Refused before any job


def test_a_file_that_cannot_be_gone_on_from_is_refused(tmp_path: Path) -> None:
    plain = untrained_mace(tmp_path / "plain.model", ["Al"], scaled=False)
    (tmp_path / "notes.model").write_text("not a model")
    for name, message in (
        ("absent.model", r"inputs\.foundation: .*absent\.model: no such file"),
        ("notes.model", r"inputs\.foundation: .*notes\.model: cannot be loaded as a MACE model"),
        (plain.name, r"inputs\.foundation: .*plain\.model: is a MACE; .*from a ScaleShiftMACE"),
    ):
        with pytest.raises(InputError, match=message):
            check_teacher(settings(), [], ["Al"], str(tmp_path / name))


@pytest.mark.slow
def test_a_foundation_that_lacks_an_element_is_refused(foundation: Path) -> None:
    check_teacher(settings(), [], ["Al"], str(foundation))
    with pytest.raises(InputError, match=r"inputs\.foundation: .*does not know Ni"):
        check_teacher(settings(), [], ["Al", "Ni"], str(foundation))


def test_a_foundation_of_another_family_or_beside_finished_models_is_refused(
    tmp_path: Path,
) -> None:
    (tmp_path / "some.model").touch()
    inputs = {"foundation": str(tmp_path / "some.model")}
    values = {
        "material": "Al", "elements": ["Al"], "label": {"engine": "ase"}, "inputs": inputs,
        "teacher": {"kind": "dpa"},
    }  # fmt: skip
    with pytest.raises(InputError, match=r"inputs\.foundation: is for teacher\.kind mace alone"):
        preflight(validate(values, "Al.yaml"))
    values["inputs"] = {**inputs, "teacher": ["mine.model"]}
    with pytest.raises(ConfigError, match=r"inputs: foundation: nothing would be trained"):
        validate(values, "Al.yaml")
