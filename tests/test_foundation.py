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
from polymorphkd.teacher.reference import composition_matrix

NETWORK = {
    "r_max": 4.1, "channels": 4, "max_L": 0, "max_ell": 1, "correlation": 2, "interactions": 1,
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


def fine_tuning(
    folder: Path, foundation: Path | None, elements: tuple[str, ...] = ("Al",)
) -> TrainingJob:
    """Frames whose energies lie below the foundation's, by 50 eV per aluminium atom."""
    for name, n, seed in (("train", 8, 5), ("valid", 6, 6)):
        frames = teachers.emt_frames(n, seed, elements, shifted=True)
        write_frames(folder / f"{name}.extxyz", frames)
    return replace(teachers.make_job(folder), elements=list(elements), foundation=foundation)


@pytest.mark.slow
@pytest.mark.parametrize(("elements", "dtype"), [(("Al",), "float64"), (("Al", "Cu"), "float32")])
def test_the_training_starts_from_the_weights_and_energies_of_the_foundation(
    tmp_path: Path, foundation: Path, elements: tuple[str, ...], dtype: str
) -> None:
    """With a rate next to zero the teacher is the foundation, but for constants per element.

    The network of the settings differs and does not count.
    """
    still = settings(
        epochs=1, learning_rate=1e-12, dtype=dtype, channels=8, r_max=5.0, interactions=2
    )
    job = fine_tuning(tmp_path, foundation, elements)
    train_teacher(still, job)
    frames = read_frames(job.valid)
    teacher = load_teacher(still, [job.model], elements)
    first = load_teacher(still, [foundation], elements)
    energies, forces, stresses = labels_of(teacher.predict(frames))
    before = labels_of(first.predict(frames))
    tolerance = 1e-9 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(forces, before[1], atol=tolerance)
    np.testing.assert_allclose(stresses, before[2], atol=tolerance)
    metrics = json.loads(job.metrics.read_text())
    references = metrics["reference_energies_eV"]
    shifts = {s: references[s] - first.reference(s) for s in elements}
    for symbol, shift in shifts.items():
        assert shift == pytest.approx(teachers.OFFSETS[symbol], abs=0.3)
        assert teacher.reference(symbol) == pytest.approx(references[symbol], abs=1e-5)
    counted = composition_matrix(frames, elements) @ np.array(list(shifts.values()))
    np.testing.assert_allclose(
        energies - before[0], counted, atol=1e-9 if dtype == "float64" else 1e-4
    )
    # No other constants explain the training energies better.
    train = read_frames(job.train)
    left = train.energy - teacher.predict(train).energy
    np.testing.assert_allclose(composition_matrix(train, elements).T @ left, 0, atol=1e-2)
    origin = metrics["foundation"]
    assert origin["file"] == foundation.name
    assert (origin["r_max"], origin["hidden_irreps"], origin["layers"]) == (4.1, "4x0e", 1)
    assert origin["valid"] == pytest.approx(metrics["valid"], rel=1e-3)
    assert not {"channels", "r_max"} & set(metrics["settings"])


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
    untrained_mace(tmp_path / "order.model", ["Cu", "Al"])
    (tmp_path / "notes.model").write_text("not a model")
    for name, message in (
        ("absent.model", r"inputs\.foundation: .*absent\.model: no such file"),
        ("notes.model", r"inputs\.foundation: .*notes\.model: cannot be loaded as a MACE model"),
        (plain.name, r"inputs\.foundation: .*plain\.model: is a MACE; .*from a ScaleShiftMACE"),
        ("order.model", r"order\.model: MACE cannot .* not in the order of their atomic numbers"),
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


def test_the_teacher_of_this_very_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snakemake would remove the file before the job that reads it."""
    monkeypatch.chdir(tmp_path)
    own = untrained_mace_in(tmp_path / "results/Al/teacher")
    values = {"material": "Al", "elements": ["Al"], "label": {"engine": "ase"}}
    for inputs in ({"foundation": own}, {"teacher": [own]}):
        with pytest.raises(InputError, match=r"model_0\.model: this is where the run writes its"):
            preflight(validate({**values, "inputs": inputs}, "Al.yaml"))


def untrained_mace_in(folder: Path) -> str:
    folder.mkdir(parents=True)
    return str(untrained_mace(folder / "model_0.model", ["Al"]))
