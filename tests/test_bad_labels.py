"""Label sets with something missing: what is refused and how, and what trains without stress."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from polymorphkd.deepmd.data import write_systems
from polymorphkd.errors import InputError
from polymorphkd.evaluate import compare, gather
from polymorphkd.evaluate.run import evaluate_model
from polymorphkd.frames import Frames, write_frames
from polymorphkd.labelled import check_labels, has_stress, read_labels
from polymorphkd.landscape import points
from polymorphkd.readers import read_frames
from polymorphkd.settings import Landscape
from polymorphkd.student import load_student, train_student
from polymorphkd.teacher import load_teacher, train_teacher
from polymorphkd.teacher.scores import rmse
from polymorphkd.teacher.training import read_labelled, read_training_set
from test_student import SETTINGS as STUDENT
from test_student import distorted
from test_student import job as student_job
from test_teacher import SETTINGS as TEACHER
from test_teacher import make_job


def renamed(atoms: Atoms) -> Atoms:
    """Labels under the keys that other programs use."""
    for box in (atoms.info, atoms.arrays):
        for key in [key for key in box if key.startswith("REF_")]:
            box[key.removeprefix("REF_")] = box.pop(key)
    return atoms


def without(key: str, which: tuple[int, ...] = (3,)):
    def damage(images: list[Atoms]) -> None:
        for i in which:
            images[i].info.pop(key, None)
            images[i].arrays.pop(key, None)

    return damage


def put(i: int, key: str, index: object, value: float):
    def damage(images: list[Atoms]) -> None:
        if index is None:
            images[i].info[key] = value
        else:
            images[i].info.get(key, images[i].arrays.get(key))[index] = value

    return damage


@pytest.mark.parametrize(
    ("damage", "parts"),
    [
        (without("REF_energy"), ["REF_energy of frame 3 of 6", "every frame needs"]),
        (without("REF_forces", range(6)), ["REF_forces of all 6 frames"]),
        (without("REF_forces", (0, 1, 2, 4, 5)), ["REF_forces of frames 0, 1, 2 and 2 more of 6"]),
        (put(1, "REF_energy", None, np.inf), ["REF_energy of frame 1"]),
        (put(1, "REF_energy", None, np.nan), ["REF_energy of frame 1"]),
        (put(4, "REF_forces", (2, 0), np.nan), ["REF_forces of frame 4"]),
        (put(4, "REF_forces", (2, 0), -np.inf), ["REF_forces of frame 4"]),
        (put(2, "REF_stress", 3, np.inf), ["REF_stress of frame 2", "six numbers"]),
        (put(2, "REF_stress", 3, np.nan), ["REF_stress of frame 2", "no REF_stress at all"]),
    ],
)
def test_a_label_that_is_missing_or_no_number_is_named_with_its_frames(tmp_path, damage, parts):
    images = distorted(6, 1).to_atoms()
    damage(images)
    write(tmp_path / "own.extxyz", images, format="extxyz")
    with pytest.raises(InputError) as caught:
        read_labelled(tmp_path / "own.extxyz", ["Al"])
    for part in ["own.extxyz", *parts]:
        assert part in str(caught.value)
    assert "import-labels" not in str(caught.value)


@pytest.mark.parametrize("which", [range(6), (2, 3)])
def test_labels_under_other_keys_are_not_taken_and_the_way_to_them_is_told(tmp_path, which):
    """A set in which some frames have REF_energy and others energy may mix two methods."""
    images = distorted(6, 1).to_atoms()
    for i in which:
        renamed(images[i])
    write(tmp_path / "mixed.extxyz", images, format="extxyz")
    with pytest.raises(InputError, match=r"REF_energy of .*under other keys.*import-labels"):
        read_labels(tmp_path / "mixed.extxyz")


@pytest.mark.parametrize("name", ["none.extxyz", "none.parquet"])
def test_a_set_without_frames_is_refused(tmp_path, name):
    write_frames(tmp_path / name, distorted(2, 1).take([]))
    for read in (read_labelled, read_training_set):
        with pytest.raises(InputError, match=rf"{name}: .*expected at least one"):
            read(tmp_path / name, ["Al"])


def half_stressed(n: int, seed: int) -> tuple[Frames, Frames]:
    """Frames of which every second has no stress, and the same with all stresses."""
    whole = distorted(n, seed)
    half = whole.take(np.arange(n))
    assert half.stress is not None
    half.stress[::2] = np.nan
    return half, whole


@pytest.mark.parametrize("name", ["half.extxyz", "half.parquet"])
def test_frames_without_stress_are_read_as_such(tmp_path, name):
    half, whole = half_stressed(6, 2)
    write_frames(tmp_path / name, half)
    found = read_labels(tmp_path / name)
    np.testing.assert_array_equal(has_stress(found), [False, True] * 3)
    whole.stress = None
    check_labels(whole, "none")
    assert not has_stress(whole).any()


def test_systems_of_frames_without_stress_have_no_virial(tmp_path):
    half, whole = half_stressed(12, 3)
    systems = write_systems(half, ["Al"], tmp_path / "half")
    n = {True: 0, False: 0}
    for system in systems:
        arrays = {path.stem: np.load(path) for path in (system / "set.000").glob("*.npy")}
        assert all(np.isfinite(values).all() for values in arrays.values())
        n["virial" in arrays] += len(arrays["energy"])
    assert n == {True: 6, False: 6}
    # A set with all stresses lies where it did before.
    names = {path.name for path in write_systems(whole, ["Al"], tmp_path / "whole")}
    assert names == {"Al4", "Al8"}


class Shifted:
    """Answers with the frames' own labels, each component of each stress off by 0.01 eV/Å^3."""

    def __init__(self, whole: Frames) -> None:
        self.whole = whole

    def predict(self, frames: Frames) -> Frames:
        result = self.whole.take(np.arange(len(frames)))
        assert result.stress is not None
        result.stress += 0.01
        return result


def test_virial_errors_are_those_of_the_frames_that_have_a_stress(tmp_path):
    half, whole = half_stressed(8, 4)
    write_frames(tmp_path / "test.extxyz", half)
    table = points(half, Landscape(cutoff=3.4))
    frames, forces = evaluate_model(Shifted(whole), tmp_path / "test.extxyz", table, 3)
    assert frames["virial_error"].isna().tolist() == [True, False] * 4
    errors = gather({"teacher": (frames, forces)}, np.random.default_rng(0))
    stressed = whole.take(np.arange(1, 8, 2))
    alone = {"teacher": evaluate_part(stressed, table)}
    expected = gather(alone, np.random.default_rng(0))
    assert errors["rmse"]["teacher"]["virial_meV_per_atom"] == pytest.approx(
        expected["rmse"]["teacher"]["virial_meV_per_atom"]
    )
    n = 3 * len(whole.numbers)
    assert errors["test"] == {"frames": 8, "frames_with_stress": 4, "force_components": n}
    json.dumps(errors, allow_nan=False)


def evaluate_part(frames: Frames, table):
    tables = compare(frames, Shifted(frames).predict(frames))
    placed = tables[0].assign(cell_sS=0, cell_Q6=0)
    placed.attrs["edges"] = {"sS": [0, 1], "Q6": [0, 1]}
    return placed, tables[1]


def test_a_test_set_without_any_stress_has_no_virial_errors(tmp_path):
    whole = distorted(4, 5)
    frames = whole.take(np.arange(4))
    frames.stress = None
    tables = compare(frames, Shifted(whole).predict(frames))
    placed = tables[0].assign(cell_sS=0, cell_Q6=0)
    placed.attrs["edges"] = {"sS": [0, 1], "Q6": [0, 1]}
    errors = gather({"teacher": (placed, tables[1])}, np.random.default_rng(0))
    for name in ("rmse", "mae", "distribution"):
        values = errors[name]["teacher"]
        assert values["virial_meV_per_atom"] is None
        assert values["energy_meV_per_atom"] is not None
    json.dumps(errors, allow_nan=False)


# Real trainings


@pytest.mark.slow
@pytest.mark.parametrize("share", [1, 2])
def test_teacher_trains_without_some_or_all_stresses(tmp_path: Path, share: int) -> None:
    job = make_job(tmp_path)
    for path in (job.train, job.valid):
        frames = read_frames(path)
        assert frames.stress is not None
        frames.stress[::share] = np.nan
        write_frames(path, frames)
    train_teacher(TEACHER, job)
    metrics = json.loads(job.metrics.read_text())
    valid = read_frames(job.valid)
    assert valid.forces is not None
    assert metrics["valid"]["force_meV_per_A"] < 500 * np.sqrt(np.mean(valid.forces**2))
    # MACE's own number is of the same frames: none that has no label was compared with zero.
    curve = [point["stress_meV_per_A3"] for point in metrics["learning_curve"]]
    teacher = load_teacher(TEACHER, [job.model])
    if share == 1:
        assert set(curve) == {None}
        assert metrics["valid"]["stress_GPa"] is None
        return
    labelled = valid.take(np.arange(1, len(valid), 2))
    expected = rmse(labelled, teacher.predict(labelled))["stress_GPa"]
    assert metrics["valid"]["stress_GPa"] == pytest.approx(expected)
    assert expected == pytest.approx(0.1602177 * min(curve[12:]), rel=0.3)
    assert predicted_stress_is_finite(teacher.predict(valid))


def predicted_stress_is_finite(frames: Frames) -> bool:
    assert frames.stress is not None
    return bool(np.isfinite(frames.stress).all())


@pytest.mark.slow
@pytest.mark.parametrize("share", [1, 2])
def test_student_trains_without_some_or_all_stresses(tmp_path: Path, share: int) -> None:
    files, whole = {}, {}
    for seed, (name, n) in enumerate({"train": 24, "valid": 6}.items()):
        frames = distorted(n, seed)
        whole[name] = frames.take(np.arange(n))
        assert frames.stress is not None
        frames.stress[::share] = np.nan
        write_frames(tmp_path / f"{name}.extxyz", frames)
        files[name] = tmp_path / f"{name}.extxyz"
    train_student(STUDENT, student_job(files, tmp_path / "dnn"))
    metrics = json.loads((tmp_path / "dnn/metrics.json").read_text())
    curve = metrics["learning_curve"]["virial_train_eV_per_atom"]
    assert (set(curve) == {None}) if share == 1 else (None in curve and set(curve) != {None})
    assert (metrics["rmse"]["valid"]["stress_GPa"] is None) == (share == 1)
    # Stresses follow from the energies; to learn zeros in their place would give `zeros`.
    predicted = load_student("deepmd", tmp_path / "dnn/model.pb").predict(whole["valid"])
    assert whole["valid"].stress is not None
    zeros = np.sqrt(np.mean(whole["valid"].stress ** 2)) / 0.00624151
    assert rmse(whole["valid"], predicted)["stress_GPa"] < 0.7 * zeros


@pytest.mark.parametrize("labels", [["energy"], ["forces", "virial"], ["virial"]])
def test_labels_that_are_not_taught_are_not_written(tmp_path, labels):
    systems = write_systems(distorted(6, 5), ["Al"], tmp_path, labels)
    files = {"energy": "energy.npy", "forces": "force.npy", "virial": "virial.npy"}
    for system in systems:
        assert {path.name for path in system.rglob("*.npy")} == {
            "box.npy", "coord.npy", *(files[label] for label in labels),
        }  # fmt: skip
