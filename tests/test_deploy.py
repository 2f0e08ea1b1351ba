"""LAMMPS example, its check, and the model card.

The potential is a small student trained on EMT labels: what is tested is that LAMMPS runs
the files as they stand, sees the same forces as Python, and conserves energy.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from polymorphkd.deploy import (
    CardSources,
    Example,
    check,
    describe_labels,
    describe_teacher,
    write_card,
    write_example,
)
from polymorphkd.deploy import lammps as room
from polymorphkd.errors import InputError
from polymorphkd.frames import from_atoms, write_frames
from polymorphkd.settings import Deepmd, Deploy, Label, Student
from polymorphkd.student import POTENTIAL, TrainingJob, load_student, train_student
from polymorphkd.student.potential import copy_potential, write_potential

TEMPLATES = Path(__file__).parents[1] / "workflow" / "templates"
NETWORK = Deepmd(
    rcut=4.5, embedding=[8, 16], axis_neuron=4, fitting=[24, 24], steps=400, learning_rate=5e-3
)


def example(seed: int = 1) -> Example:
    return Example("Al", "dnn", "fcc", 16.0, ["Al"], np.random.default_rng(seed))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Student folder with a trained model and its metrics."""
    rng, sets = np.random.default_rng(0), tmp_path_factory.mktemp("sets")
    for name, n in (("train", 30), ("valid", 4)):
        images = []
        for _ in range(n):
            atoms = bulk("Al", "fcc", a=4.0 * (1 + rng.uniform(-0.05, 0.05)), cubic=True)
            atoms.rattle(0.2, rng=rng)
            atoms.calc = EMT()
            atoms.info["REF_energy"] = atoms.get_potential_energy()
            atoms.info["REF_stress"] = atoms.get_stress()
            atoms.arrays["REF_forces"] = atoms.get_forces()
            images.append(atoms)
        write_frames(sets / f"{name}.extxyz", from_atoms(images))
    folder = tmp_path_factory.mktemp("dnn")
    train_student(
        Student(deepmd=NETWORK),
        TrainingJob(sets / "train.extxyz", sets / "valid.extxyz", None, folder, ["Al"], 3),
    )
    return folder


@pytest.mark.slow
def test_lammps_runs_the_example_conserves_energy_and_agrees_with_python(folder, tmp_path):
    settings = Deploy(repeat=2, steps=400, timestep=1.0, temperature=150.0, timing_atoms=100)
    write_example(folder, TEMPLATES / "in.lammps.j2", example(), settings)
    model = load_student("deepmd", folder / POTENTIAL)
    thermo, result = check(folder, tmp_path / "work", ["Al"], model, settings, 1)
    assert result["passed"], result["reason"]
    assert result["n_atoms"] == 32
    assert result["timing_atoms"] == 128
    assert 1 < result["us_per_atom_step"] < 1e5
    screen = (tmp_path / "work" / "timing" / "log.lammps").read_text()
    assert "for 20 steps with 128 atoms" in screen
    assert result["forces_agree_eV_per_A"] < 1e-4
    assert abs(result["drift_meV_per_atom_per_ps"]) < 1.0
    assert result["fluctuation_meV_per_atom"] < 0.2
    assert 50 < result["temperature_mean_K"] < 300
    assert thermo["step"].iloc[-1] == 400
    assert thermo["time_ps"].iloc[-1] == pytest.approx(0.4)
    # Potential energy of the first line is the model's own.
    from ase.io import read

    atoms = read(folder / "structure.data", format="lammps-data")
    energy = model.predict(from_atoms([atoms])).energy[0]
    assert thermo["potential_eV"].iloc[0] == pytest.approx(energy, abs=1e-3)


def test_example_is_reproducible_and_names_all_types(tmp_path):
    texts = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.pb").write_text("a model")
        write_potential(tmp_path / name, "deepmd", ["model.pb"], ["Al"])
        settings = Deploy(repeat=2)
        write_example(tmp_path / name, TEMPLATES / "in.lammps.j2", example(5), settings)
        texts.append([(tmp_path / name / f).read_text() for f in ("in.lammps", "structure.data")])
    assert texts[0] == texts[1]
    assert "include         potential.lmp\n" in texts[0][0]
    assert "another LAMMPS needs the plugin of DeePMD-kit 3.2.0 or later." in texts[0][0]
    assert "timestep        0.002\n" in texts[0][0]


def test_the_potential_names_its_files_and_changes_with_them(tmp_path):
    for name in ("model.pod", "coefficients.pod"):
        (tmp_path / name).write_text("1")
    texts = []
    for content in ("1", "2", "1"):
        (tmp_path / "coefficients.pod").write_text(content)
        write_potential(tmp_path, "pod", ["model.pod", "coefficients.pod"], ["Al", "Cu"])
        texts.append((tmp_path / POTENTIAL).read_text())
    assert texts[0] == texts[2] != texts[1]
    assert texts[0].endswith("pair_style pod\npair_coeff * * model.pod coefficients.pod Al Cu\n")
    (tmp_path / "to").mkdir()
    copy_potential(tmp_path / POTENTIAL, tmp_path / "to")
    names = {"potential.lmp", "model.pod", "coefficients.pod"}
    assert {path.name for path in (tmp_path / "to").iterdir()} == names
    with pytest.raises(InputError, match="train the student first"):
        copy_potential(tmp_path / "to" / "none" / POTENTIAL, tmp_path)
    for name in ("model.pb", "notes.txt"):
        (tmp_path / name).write_text("a network")
    write_potential(tmp_path, "deepmd", ["model.pb"], ["Al", "Cu"])
    assert {path.name for path in tmp_path.iterdir()} == {"to", POTENTIAL, "model.pb", "notes.txt"}
    (tmp_path / POTENTIAL).write_text("pair_style zero 5\n")
    with pytest.raises(InputError, match="names no file of a model"):
        copy_potential(tmp_path / POTENTIAL, tmp_path / "to")


def test_drift_and_fluctuation_of_known_series():
    time = np.linspace(0, 4, 401)
    wave = 0.003 * np.sin(2 * np.pi * 25 * time)
    drift, fluctuation = room.conservation(time, -100 + 0.08 * time + wave, 10)
    assert drift == pytest.approx(8.0, rel=1e-2)
    assert fluctuation == pytest.approx(0.3 / np.sqrt(2), rel=2e-2)


METRICS = {
    "variant": "dnn-kd",
    "seed": 1,
    "steps": 1000,
    "sel": [80],
    "frames": {"dft": 70, "teacher": 770, "valid": 10},
    "seen": {
        "n_atoms": [4, 8],
        "volume_A3_per_atom": [13.2, 20.4],
        "shortest_distance_A": 2.06,
        "largest_force_eV_per_A": 7.2,
    },
    "compression": {"max_force_difference_eV_per_A": 2e-5},
    "versions": {"deepmd-kit": "3.2.0"},
}
RMSE = {"energy_meV_per_atom": 5.25, "force_meV_per_A": 61.0, "virial_meV_per_atom": 33.0}
NVE = {
    "drift_meV_per_atom_per_ps": 0.01,
    "fluctuation_meV_per_atom": 0.05,
    "us_per_atom_step": 90.0,
    "timing_atoms": 4096,
    "n_atoms": 256,
    "steps": 2000,
    "temperature_mean_K": 301.0,
    "forces_agree_eV_per_A": 2e-6,
    "max_drift_meV_per_atom_per_ps": 1.0,
    "passed": True,
    "reason": "",
}


TEACHER = {
    "kind": "mace",
    "versions": {"mace-torch": "0.3.16"},
    "n_frames": {"train": 70, "valid": 10},
}


def card(
    tmp_path: Path, with_dft: bool = True, own=None, rmse=None, own_teacher=(), student=None,
    metrics=METRICS, **nve,
) -> str:  # fmt: skip
    def stored(name: str, value: object) -> Path:
        (tmp_path / name).write_text(json.dumps(value))
        return tmp_path / name

    eos = {"structure": "fcc", "a0_A": 4.04, "B0_GPa": 80.0}
    sources = CardSources(
        metrics=stored("metrics.json", metrics),
        errors=stored("errors.json", {"rmse": {"dnn-kd": rmse or RMSE}, "test": {"frames": 21}}),
        properties=stored("eos.json", own or eos),
        dft=stored("dft.json", eos | {"a0_A": 4.0}) if with_dft else None,
        nve=stored("nve.json", NVE | nve),
    )
    output = tmp_path / "MODEL_CARD.md"
    template = TEMPLATES / "MODEL_CARD.md.j2"
    labels = describe_labels(Label(), None)
    teacher = describe_teacher(
        [] if own_teacher else [stored(f"metrics_{k}.json", TEACHER) for k in range(2)],
        own_teacher,
    )
    names = ("Al", "dnn-kd")
    write_card(output, template, names, ["Al"], sources, student or Student(), Deploy(), labels,
               teacher)  # fmt: skip
    return output.read_text()


def test_card_holds_the_numbers_of_its_sources(tmp_path):
    text = card(tmp_path)
    for expected in (
        "70 DFT, 770 teacher",
        "| Teacher | 2 models of kind mace (mace-torch 0.3.16), trained on 70 configurations "
        "labelled by DFT and watched on 10 |",
        "| dnn-kd (this one) | 5.2 | 61.0 | 33.0 |",
        "on 21 held-out DFT",
        "| deviation | +1.00 % | +0.0 % |",
        "Passed: 256 atoms",
        "90 µs per atom and step on one core (4096 atoms)",
        "4 to 8 atoms per periodic cell, 13.2 to 20.4 Å³ per atom",
        "GPAW plane-wave DFT: xc PBE",
        "lmp -in in.lammps",
        "| Share of steps on DFT frames | 0.3 |",
        "\n\n    from deepmd.calculator import DP\n    atoms.calc",
    ):
        assert expected in text
    assert "\n\n\n" not in text


def test_card_of_a_linear_student(tmp_path):
    kept = ("variant", "seed", "frames", "seen")
    metrics = {key: METRICS[key] for key in kept} | {
        "kind": "pod", "coefficients": 60, "versions": {"lammps": "2025.7.22.2.0"},
    }  # fmt: skip
    text = card(tmp_path, metrics=metrics, student=Student(kind="pod"))
    for expected in (
        "A linear POD (proper orthogonal descriptors) potential distilled from",
        "| Share of the weight on DFT frames | 0.3 |",
        "\n\n    from pathlib import Path\n    from polymorphkd",
        "| Basis | 60 coefficients: 6 radial functions of pairs; of triplets",
        "| Cutoff | 4.5 Å; no two atoms nearer than 1.0 Å |",
        "atoms.calc = calculator(\"pod\", files, ['Al'])",
        "Passed: 256 atoms",
    ):
        assert expected in text
    assert "model.pb" not in text
    assert "\n\n\n" not in text


def test_card_is_honest_about_failures_and_missing_dft(tmp_path):
    assert "**Failed** (drift 3" in card(tmp_path, passed=False, reason="drift 3 exceeds 1")
    exploded = {"drift_meV_per_atom_per_ps": None, "passed": False, "reason": "Lost atoms"}
    text = card(tmp_path, with_dft=False, **exploded)
    assert "did not reach its end (Lost atoms)" in text
    assert "deviation" not in text
    own = describe_labels(Label(), "data/own.extxyz", -0.2)
    assert "brought from outside (own.extxyz)" in own
    assert own.endswith("; -0.2 eV per atom taken off their virials")


def test_card_names_a_teacher_from_outside_and_a_foundation(tmp_path):
    own = card(tmp_path, own_teacher=["somewhere/big.model"])
    assert "| Teacher | brought from outside (big.model);" in own
    file = tmp_path / "started.json"
    foundation = {"file": "omat.model", "digest": "d7abea40"}
    file.write_text(json.dumps(TEACHER | {"foundation": foundation}))
    text = describe_teacher([file], [])
    assert text.startswith("one model of kind mace")
    assert "started from the weights of omat.model (digest d7abea40)" in text
    assert describe_teacher([], []) == "none"


def test_card_of_a_student_without_a_minimum_and_of_a_test_set_without_stress(tmp_path):
    nothing = {"structure": "fcc", "a0_A": None, "B0_GPa": None, "problem": "no minimum"}
    text = card(tmp_path, own=nothing, rmse={**RMSE, "virial_meV_per_atom": None})
    assert "| dnn-kd (this one) | 5.2 | 61.0 | - |" in text
    assert "| this model | no minimum | - |\n| DFT, same settings | 4.0000 | 80.0 |\n" in text
    assert "deviation" not in text
