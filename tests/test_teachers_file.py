"""Teachers brought from outside, and families whose environment is absent or poor.

Everything here is said before any job starts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import teachers
from mace_files import untrained_mace
from polymorphkd.config import validate
from polymorphkd.curves import read_curves
from polymorphkd.deepmd.process import check_finite
from polymorphkd.errors import DivergedError, EngineError, InputError
from polymorphkd.predict import labels_of
from polymorphkd.preflight import preflight
from polymorphkd.settings import Dpa, MaceDeepmd, Nequip, Teacher
from polymorphkd.teacher import check_teacher, load_teacher
from polymorphkd.teacher.dp_environment import located, versions
from polymorphkd.teacher.dp_input import network, training_input
from polymorphkd.teacher.dp_process import last_checkpoint
from pydantic import ValidationError

# Files of the user's own


@pytest.fixture(scope="module")
def foundation(tmp_path_factory) -> Path:
    """A MACE model of more elements than any material here, such as a foundation model is."""
    path = tmp_path_factory.mktemp("own") / "foundation.model"
    return untrained_mace(path, ["C", "Al", "Si", "Cu"])


def material(models: list[str], **values: object) -> dict:
    """Settings whose only work before the teacher is nothing: all frames are given."""
    return {"material": "Al", "elements": ["Al"], "inputs": {"teacher": models}, **values}


def test_a_model_of_more_elements_than_the_material_is_taken(foundation):
    check_teacher(Teacher(), [str(foundation)], ["Al", "Cu"])
    frames = teachers.emt_frames(2, 0)
    teacher = load_teacher(Teacher(), [foundation], ["Al", "Cu"])
    _, forces, _ = labels_of(teacher.predict(frames))
    assert forces.shape == (8, 3)


def test_a_model_of_other_elements_is_refused_before_any_job(foundation):
    values = material([str(foundation)], elements=["Al", "Ni"], label={"engine": "ase"})
    with pytest.raises(InputError) as error:
        preflight(validate(values, "Al.yaml"))
    assert str(error.value) == (
        f"inputs.teacher: {foundation}: does not know Ni; it was trained for C, Al, Si, Cu"
    )


def test_a_file_that_is_absent_or_no_model_is_refused_before_any_job(tmp_path, foundation):
    with pytest.raises(InputError, match=r"inputs\.teacher: absent\.model: no such file"):
        check_teacher(Teacher(), ["absent.model"], ["Al"])
    (tmp_path / "notes.model").write_text("not a model")
    with pytest.raises(InputError, match=r"inputs\.teacher: .*notes\.model: cannot be loaded"):
        check_teacher(Teacher(), [str(foundation), str(tmp_path / "notes.model")], ["Al"])


def test_the_gpu_of_the_jobs_is_not_asked_for_where_the_run_starts(foundation):
    settings = Teacher.model_validate({"mace": {"device": "cuda"}})
    check_teacher(settings, [str(foundation)], ["Al"])


@pytest.mark.slow
def test_a_mace_file_is_no_teacher_of_another_family(foundation):
    settings = teachers.settings("mace-deepmd")
    with pytest.raises(InputError, match=r"foundation\.model: cannot be loaded as a DeePMD model"):
        check_teacher(settings, [str(foundation)], ["Al"])


# The environment


def test_an_absent_environment_is_said_before_any_job(tmp_path):
    kind = {"kind": "dpa", "environment": str(tmp_path)}
    values = material([], teacher=kind, label={"engine": "ase"})
    with pytest.raises(
        EngineError, match=r"Al\.yaml: teacher\.environment: .*no bin/python.*make env-teachers"
    ):
        preflight(validate(values, "Al.yaml"))


def test_an_environment_that_lacks_a_package_is_said():
    """This very environment has DeePMD-kit and PyTorch, but not NequIP."""
    python = located(sys.prefix)
    assert set(versions(python, "dpa")) == {"deepmd-kit", "torch"}
    with pytest.raises(EngineError, match="nequip is not installed there, and"):
        versions(python, "nequip")


def test_an_environment_that_does_not_run_is_said(tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(EngineError, match="does not run .*make env-teachers"):
        versions(located(tmp_path), "dpa")


# Input and files of a training


def test_the_networks_are_what_the_settings_say():
    dpa = network(Dpa(r_max=5.0, angle_r_max=3.0, features=32), 60, 20, 1.0, 7)
    repflow = dpa["descriptor"]["repflow"]
    assert (repflow["n_dim"], repflow["e_dim"], repflow["a_dim"]) == (32, 16, 8)
    # A tenth of it is the usual number of neighbours; none is left out.
    assert (repflow["e_sel"], repflow["a_sel"]) == (600, 200)
    assert dpa["descriptor"]["seed"] == dpa["fitting_net"]["seed"] == 7
    mace = network(MaceDeepmd(channels=8, max_L=1), 60, 0, 0.7, 7)
    assert (mace["hidden_irreps"], mace["std"], mace["sel"]) == ("8x0e + 8x1o", 0.7, 90)
    nequip = network(Nequip(features=4, l_max=1), 60, 0, 1.0, 7)
    assert nequip["feature_irreps_hidden"] == "4x0e + 4x0o + 4x1e + 4x1o"
    assert nequip["irreps_edge_sh"] == "1x0e + 1x1o"


def test_every_training_frame_decides_the_reference_energies():
    systems = {"train": [Path("data/train/Al4")], "valid": [Path("data/valid/Al4")]}
    made = training_input(Dpa(steps=1000), {"descriptor": {}}, ["Al"], 321, systems, 7)
    assert made["model"]["data_stat_nbatch"] == 321
    assert made["training"]["training_data"]["auto_prob"] == "prob_sys_size"
    assert made["training"]["disp_freq"] == made["validating"]["validation_freq"] == 20


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"dpa": {"angle_r_max": 6.0}}, "angle_r_max must not be above r_max"),
        ({"dpa": {"features": 30}}, "multiple of 4"),
        ({"nequip": {"precision": "float64"}}, "float32"),
        ({"mace_deepmd": {"final_learning_rate": 0.5}}, "final_learning_rate must not be above"),
        ({"kind": "schnet"}, "mace-deepmd"),
    ],
)
def test_settings_that_cannot_work_are_refused(section, message):
    with pytest.raises(ValidationError, match=message):
        Teacher.model_validate(section)


def test_a_torn_checkpoint_is_passed_over_and_the_one_before_it_used(tmp_path):
    import torch

    assert last_checkpoint(tmp_path) == (0, "")
    torch.save({"model": torch.arange(1000)}, tmp_path / "model.ckpt-50.pt")
    torn = tmp_path / "model.ckpt-75.pt"
    torn.write_bytes((tmp_path / "model.ckpt-50.pt").read_bytes()[:500])
    (tmp_path / "model.ckpt.pt").symlink_to("model.ckpt-75.pt")
    assert last_checkpoint(tmp_path) == (50, "model.ckpt-50.pt")
    assert torn.exists()  # perhaps a running training writes it


_VALIDATION = """\
# step E_MAE(meV/atom) E_RMSE(meV/atom) F_MAE(meV/Å) F_RMSE(meV/Å) S_MAE(meV/Å³) S_RMSE(meV/Å³)
# E uses per-atom energy, F uses component-wise force errors.
   10      276.22           343.95         598.71       945.22        7.5646         15.824
   20      274.19           344.39         597.73       943.78        7.5851         15.840
   20      270.00           340.00         590.00       940.00        7.5000         15.800
   30      278"""


def test_the_curve_of_a_running_training_is_read(tmp_path):
    folder = tmp_path / "teacher" / "work_0"
    folder.mkdir(parents=True)
    (folder / "val.log").write_text(_VALIDATION)
    teachers_read, _ = read_curves(tmp_path)
    curve = json.loads(teachers_read["model 0"].to_json(orient="records"))
    assert curve == [
        {"step": 10, "energy_meV_per_atom": 343.95, "force_meV_per_A": 945.22,
         "stress_meV_per_A3": 15.824},
        {"step": 20, "energy_meV_per_atom": 340.0, "force_meV_per_A": 940.0,
         "stress_meV_per_A3": 15.8},
    ]  # fmt: skip


def test_divergence_names_the_step_and_the_key():
    curve = {"step": [10.0, 20.0], "force_train_eV_per_A": [0.5, float("nan")]}
    with pytest.raises(
        DivergedError, match=r"teacher: .*at step 20 .*lower teacher\.dpa\.learning_rate"
    ):
        check_finite(curve, "teacher.dpa")


def test_a_batch_without_a_label_has_not_diverged():
    nothing = float("nan")
    curve = {
        "step": [10.0, 20.0], "energy_train_eV_per_atom": [nothing, 0.1],
        "force_train_eV_per_A": [0.5, nothing], "force_valid_eV_per_A": [0.6, 0.4],
    }  # fmt: skip
    lacking = ["energy_train_eV_per_atom", "force_train_eV_per_A"]
    check_finite(curve, "student.deepmd", lacking)
    check_finite({"step": [10.0]}, "student.deepmd")
    with pytest.raises(DivergedError, match="at step 10"):
        check_finite(curve, "student.deepmd", lacking[1:])  # every batch has energies
    lost = {**curve, "energy_train_eV_per_atom": [0.1, nothing]}
    with pytest.raises(DivergedError, match="at step 20"):
        check_finite(lost, "student.deepmd", lacking)
    curve["force_valid_eV_per_A"][1] = nothing
    with pytest.raises(DivergedError, match="at step 20"):
        check_finite(curve, "student.deepmd", lacking)


def test_the_doctor_judges_the_environment_of_the_families_asked_for(tmp_path):
    from polymorphkd.doctor import _teachers

    wanted = [
        validate(material([], teacher={"kind": kind, "environment": folder}), "Al.yaml")
        for kind, folder in (("mace", ""), ("dpa", sys.prefix), ("nequip", str(tmp_path)))
    ]
    dpa, nequip = _teachers(wanted)
    assert dpa.ok
    assert "deepmd-kit" in dpa.detail
    assert not nequip.ok
    assert "make env-teachers" in nequip.fix
