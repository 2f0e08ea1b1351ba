"""Teacher: reference energies, MACE training on EMT labels, prediction, committee, restart."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import teachers
from ase.build import bulk
from killing import killed_when
from polymorphkd.errors import EngineError, InputError, StageError
from polymorphkd.frames import Frames, concatenate, from_atoms, write_frames
from polymorphkd.predict import labels_of, single_precision
from polymorphkd.processes import claimed
from polymorphkd.progress import Counter, logger
from polymorphkd.readers import read_frames
from polymorphkd.settings import Mace, Teacher
from polymorphkd.teacher import TrainingJob, load_teacher, mace_process, train_teacher
from polymorphkd.teacher.committee import SPREAD, Committee
from polymorphkd.teacher.reference import reference_energies
from polymorphkd.teacher.scores import rmse
from polymorphkd.teacher.training import read_labelled

TINY = Mace(
    r_max=4.0,
    channels=4,
    max_L=0,
    max_ell=1,
    correlation=2,
    interactions=1,
    epochs=16,
    stage_two_start=0.75,
    batch_size=2,
    learning_rate=0.02,
    dtype="float64",
    device="cpu",
)
SETTINGS = Teacher(mace=TINY)


def emt_frames(n: int, seed: int, elements: tuple[str, ...] = ("Al",)) -> Frames:
    return teachers.emt_frames(n, seed, elements, shifted=False)


def make_job(folder: Path, **changes: object) -> TrainingJob:
    write_frames(folder / "train.extxyz", emt_frames(16, 0))
    write_frames(folder / "valid.extxyz", emt_frames(4, 1))
    job = TrainingJob(
        train=folder / "train.extxyz",
        valid=folder / "valid.extxyz",
        model=folder / "model_0.model",
        metrics=folder / "metrics_0.json",
        work=folder / "work_0",
        elements=["Al"],
        seed=1,
    )
    return replace(job, **changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    job = make_job(tmp_path_factory.mktemp("teacher"))
    train_teacher(SETTINGS, job)
    return job


# Reference energies


def composed(compositions: list[dict[str, int]], energies: dict[str, float]) -> Frames:
    frames = []
    for composition in compositions:
        symbols = [s for s, n in composition.items() for _ in range(n)]
        image = bulk("Al", "sc", 3.0) * (len(symbols), 1, 1)
        image.symbols[:] = symbols
        image.info["REF_energy"] = sum(energies[s] for s in symbols)
        frames.append(image)
    return from_atoms(frames)


def test_reference_energies_are_recovered_exactly() -> None:
    known = {"Al": -3.7, "Cu": -4.1, "Ni": 12.5}
    frames = composed(
        [{"Al": 4}, {"Al": 2, "Cu": 1}, {"Cu": 1, "Ni": 3}, {"Al": 1, "Ni": 5, "Cu": 2}], known
    )
    found = reference_energies(frames, ["Al", "Cu", "Ni"])
    assert found == pytest.approx(known, abs=1e-10)


def test_dependent_compositions_keep_the_totals_and_are_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = {"Al": -3.0, "Ni": -5.0}
    frames = composed([{"Al": 1, "Ni": 1}, {"Al": 3, "Ni": 3}], known)
    logger.propagate = True
    with caplog.at_level("WARNING", logger="polymorphkd"):
        found = reference_energies(frames, ["Al", "Ni"])
    assert found["Al"] + found["Ni"] == pytest.approx(-8.0, abs=1e-10)
    assert found["Al"] == pytest.approx(found["Ni"])  # the solution of minimum norm
    assert "minimum norm" in caplog.text


def test_an_element_without_frames_is_refused() -> None:
    frames = composed([{"Al": 2}], {"Al": -3.0})
    with pytest.raises(StageError, match="no training frame holds Cu"):
        reference_energies(frames, ["Al", "Cu"])


# Input


def test_training_data_with_a_foreign_element_is_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "train.extxyz", emt_frames(3, 0, ("Al", "Cu")))
    with pytest.raises(InputError, match=r"train\.extxyz: holds Cu, which is not under elements"):
        read_labelled(tmp_path / "train.extxyz", ["Al"])


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 torn"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.model"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=r"own\.model: cannot be loaded as a MACE model"):
        load_teacher(SETTINGS, [path])


def test_a_pickle_of_something_else_and_an_absent_file_are_refused(tmp_path: Path) -> None:
    import torch

    torch.save({"weights": [1, 2]}, tmp_path / "dict.pt")
    with pytest.raises(EngineError, match="holds a dict, not a MACE energy model"):
        load_teacher(SETTINGS, [tmp_path / "dict.pt"])
    with pytest.raises(EngineError, match="no such teacher model file"):
        load_teacher(SETTINGS, [tmp_path / "absent.model"])
    with pytest.raises(EngineError, match="no model file given"):
        load_teacher(SETTINGS, [])


# Committee


class Shifted:
    """EMT-free stand-in: energy, forces and stress are constants."""

    def __init__(self, value: float) -> None:
        self.value = value

    def predict(self, frames: Frames) -> Frames:
        result = frames.take(np.arange(len(frames)))
        result.energy = np.full(len(frames), self.value)
        result.forces = np.zeros((len(frames.numbers), 3))
        result.forces[result.offsets[:-1], 1] = self.value  # y component of each first atom
        result.stress = np.full((len(frames), 6), 2 * self.value)
        return result


def test_committee_gives_means_and_the_largest_standard_deviation() -> None:
    frames = emt_frames(3, 0).with_meta(parent=["a", "b", "c"])
    result = Committee([Shifted(1.0), Shifted(2.0), Shifted(6.0)]).predict(frames)
    energy, forces, stress = labels_of(result)
    np.testing.assert_allclose(energy, 3.0)
    np.testing.assert_allclose(forces[result.offsets[:-1]], [[0, 3.0, 0]] * 3)
    np.testing.assert_allclose(stress, 6.0)
    np.testing.assert_allclose(result.meta[SPREAD], np.std([1, 2, 6], ddof=1))
    assert list(result.meta["parent"]) == ["a", "b", "c"]


# Training


@pytest.mark.slow
def test_training_learns_and_reports(trained: TrainingJob) -> None:
    metrics = json.loads(trained.metrics.read_text())
    curve = metrics["learning_curve"]
    assert [point["epoch"] for point in curve] == list(range(TINY.epochs))
    assert [point["stage"] for point in curve] == [1] * 12 + [2] * 4
    assert curve[-1]["force_meV_per_A"] < 0.5 * curve[0]["force_meV_per_A"]
    valid = read_frames(trained.valid)
    _, forces, _ = labels_of(valid)
    trivial = 1e3 * np.sqrt(np.mean(forces**2))
    assert metrics["valid"]["force_meV_per_A"] < 0.5 * trivial
    assert metrics["resumed_from_epoch"] == 0
    assert metrics["versions"]["mace-torch"]
    assert not trained.work.exists()
    # The kept model is the best epoch of stage two, and the file gives the reported errors.
    teacher = load_teacher(SETTINGS, [trained.model], ["Al"])
    assert rmse(valid, teacher.predict(valid)) == pytest.approx(metrics["valid"], rel=1e-6)
    best = min(curve[12:], key=lambda point: point["loss"])
    assert metrics["valid"]["force_meV_per_A"] == pytest.approx(best["force_meV_per_A"], rel=1e-3)


@pytest.mark.slow
def test_labels_are_derivatives_of_one_energy(trained: TrainingJob) -> None:
    teacher = load_teacher(SETTINGS, [trained.model])
    frame = emt_frames(1, 7)
    _, forces, stress = labels_of(teacher.predict(frame))

    def energy(atoms: object) -> float:
        return float(labels_of(teacher.predict(from_atoms([atoms])))[0][0])

    step = 1e-3
    for atom, axis in ((0, 0), (2, 1), (3, 2)):
        sides = []
        for sign in (1, -1):
            moved = frame.atoms(0)
            moved.positions[atom, axis] += sign * step
            sides.append(energy(moved))
        assert -(sides[0] - sides[1]) / (2 * step) == pytest.approx(forces[atom, axis], abs=1e-5)
    step = 1e-4
    volume = frame.volumes[0]
    for voigt, (i, j) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        sides = []
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[i, j] += sign * step / 2
            strain[j, i] += sign * step / 2
            strained = frame.atoms(0)
            strained.set_cell(strained.cell.array @ (np.eye(3) + strain), scale_atoms=True)
            sides.append(energy(strained))
        derivative = (sides[0] - sides[1]) / (2 * step) / volume
        assert derivative == pytest.approx(stress[0, voigt], abs=1e-5)


@pytest.mark.slow
def test_prediction_agrees_with_mace_and_does_not_depend_on_the_batch(
    trained: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mace.calculators import MACECalculator
    from polymorphkd.teacher import mace_model

    frames = concatenate([emt_frames(5, 3), from_atoms([bulk("Al", "hcp", 2.8, 4.6)])])
    teacher = load_teacher(SETTINGS, [trained.model])
    together = labels_of(teacher.predict(frames))
    monkeypatch.setattr(mace_model, "ATOMS_PER_BATCH", {"cpu": 1})
    for batched, single in zip(together, labels_of(teacher.predict(frames)), strict=True):
        np.testing.assert_allclose(batched, single, atol=1e-10)
    calculator = MACECalculator(str(trained.model), device="cpu", default_dtype="float64")
    for i in range(len(frames)):
        image = frames.atoms(i)
        image.calc = calculator
        assert image.get_potential_energy() == pytest.approx(together[0][i], abs=1e-9)
        np.testing.assert_allclose(image.get_forces(), together[1][frames.atoms_of(i)], atol=1e-9)
        np.testing.assert_allclose(image.get_stress(), together[2][i], atol=1e-9)


@pytest.mark.slow
def test_the_twin_in_single_precision_agrees_and_leaves_the_model_as_it_is(
    trained: TrainingJob,
) -> None:
    frames = read_frames(trained.valid)
    committee = load_teacher(SETTINGS, [trained.model, trained.model])
    before = committee.predict(frames)
    twin = single_precision(committee)
    found = twin.predict(frames)
    energy, forces, stress = labels_of(found)
    difference = np.abs(forces - labels_of(before)[1]).max()
    assert 0 < difference < 1e-4
    np.testing.assert_allclose(energy, before.energy, atol=1e-4)
    np.testing.assert_allclose(stress, before.stress, atol=1e-5)
    np.testing.assert_array_equal(committee.predict(frames).forces, before.forces)


@pytest.mark.slow
def test_unknown_elements_are_refused(trained: TrainingJob) -> None:
    with pytest.raises(EngineError, match=r"model_0\.model: does not know Cu.*trained for Al"):
        load_teacher(SETTINGS, [trained.model], ["Al", "Cu"])
    teacher = load_teacher(SETTINGS, [trained.model])
    with pytest.raises(EngineError, match="does not know Cu"):
        teacher.predict(emt_frames(2, 0, ("Cu",)))


@pytest.mark.slow
def test_equal_models_make_a_committee_without_spread(trained: TrainingJob) -> None:
    frames = emt_frames(2, 5)
    one = labels_of(load_teacher(SETTINGS, [trained.model]).predict(frames))
    both = load_teacher(SETTINGS, [trained.model, trained.model]).predict(frames)
    for single, mean in zip(one, labels_of(both), strict=True):
        np.testing.assert_allclose(mean, single, atol=1e-12)
    np.testing.assert_allclose(both.meta[SPREAD], 0, atol=1e-12)


# Kill and resume


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="children die with their parent on Linux")
def test_a_training_whose_parent_is_killed_ends_and_goes_on_from_its_checkpoint(
    tmp_path: Path,
) -> None:
    job = make_job(tmp_path)
    settings = Teacher(mace=TINY.model_copy(update={"epochs": 40}))

    def ripe(_: list[str]) -> bool:
        return mace_process.resume_epoch(job.work) >= 4

    killed_when(train_teacher, (settings, job), ripe, signal.SIGKILL, group=False)
    assert not job.model.exists()
    train_teacher(settings, job)
    metrics = json.loads(job.metrics.read_text())
    assert 4 <= metrics["resumed_from_epoch"] < 40
    assert [point["epoch"] for point in metrics["learning_curve"]] == list(range(40))
    assert job.model.exists()


def test_a_torn_checkpoint_is_dropped_and_the_one_before_it_used(tmp_path: Path) -> None:
    import torch

    folder = tmp_path / "checkpoints"
    folder.mkdir()
    assert mace_process.resume_epoch(tmp_path) == 0
    torch.save({"model": torch.arange(1000)}, folder / "teacher_run-1_epoch-5.pt")
    whole = (folder / "teacher_run-1_epoch-5.pt").read_bytes()
    torn = folder / "teacher_run-1_epoch-9_swa.pt"
    torn.write_bytes(whole[: len(whole) // 2])
    assert mace_process.resume_epoch(tmp_path) == 5
    assert torn.exists()  # perhaps a running training writes it
    mace_process.drop_unusable(tmp_path)
    assert mace_process.resume_epoch(tmp_path) == 5
    assert [path.name for path in folder.iterdir()] == ["teacher_run-1_epoch-5.pt"]


def test_work_of_other_settings_is_removed_and_two_trainings_do_not_meet(tmp_path: Path) -> None:
    with claimed(tmp_path, "first"):
        (tmp_path / "checkpoints").mkdir()
        with (
            pytest.raises(StageError, match="another process works here"),
            claimed(tmp_path, "first"),
        ):
            pass
    with claimed(tmp_path, "first"):
        assert (tmp_path / "checkpoints").exists()
    with claimed(tmp_path, "second"):
        assert not (tmp_path / "checkpoints").exists()


def test_divergence_stops_the_training_with_a_clear_message(tmp_path: Path) -> None:
    line = (
        "INFO: Epoch 3: head: Default, loss=nan, RMSE_E_per_atom= nan meV, "
        "RMSE_F= nan meV / A, RMSE_stress= nan meV / A^3"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", f"import time; print({line!r}, flush=True); time.sleep(60)"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with pytest.raises(StageError, match=r"diverged: in epoch 3 .*learning_rate"):
            mace_process._follow(child, tmp_path, Counter(10, "epochs"))
    finally:
        child.kill()
        child.communicate()


def test_a_failing_child_is_reported_with_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"exit status 2.*--name"):
        mace_process.run([], tmp_path, epochs=1, threads=1)
