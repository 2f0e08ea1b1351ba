"""Learning curves of trainings that still run, are half written, or have ended."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from polymorphkd.cli import main
from polymorphkd.curves import read_curves
from polymorphkd.plots.learning import draw_teachers
from polymorphkd.teacher.curve import learning_curve


def teacher_line(epoch: int, force: float) -> str:
    entry = {
        "mode": "eval", "epoch": epoch, "loss": 1.0, "rmse_e_per_atom": 0.01, "rmse_f": force,
        "rmse_stress": 0.001,
    }  # fmt: skip
    return json.dumps(entry) + "\n"


def write_lcurve(folder: Path, steps: list[int], force: float) -> None:
    folder.mkdir(parents=True)
    names = "step rmse_val rmse_trn rmse_e_val rmse_e_trn rmse_f_val rmse_f_trn lr"
    rows = [f"{step} 1 1 0.1 0.1 {force} {force} 1e-3\n" for step in steps]
    (folder / "lcurve.out").write_text(f"# {names}\n{''.join(rows)}")


@pytest.fixture
def running(tmp_path, monkeypatch) -> Path:
    """Model 0 has ended, model 1 trains and is writing a line; the student fine-tunes."""
    folder = tmp_path / "results" / "Al"
    curve = [{"epoch": 0, "stage": 1, "force_meV_per_A": 90.0, "energy_meV_per_atom": 9.0}]
    (folder / "teacher").mkdir(parents=True)
    (folder / "teacher" / "metrics_0.json").write_text(json.dumps({"learning_curve": curve}))
    results = folder / "teacher" / "work_1" / "results"
    results.mkdir(parents=True)
    lines = teacher_line(0, 0.2) + teacher_line(1, 0.1) + teacher_line(2, 0.05)[:20]
    (results / "teacher_run-1_train.txt").write_text(lines)
    write_lcurve(folder / "student" / "dnn" / "work", [1, 50, 100], 0.4)
    write_lcurve(folder / "student" / "dnn" / "work" / "fine_tune", [1, 20], 0.2)
    monkeypatch.chdir(tmp_path)
    return folder


def test_running_and_ended_trainings_are_read(running):
    teachers, students = read_curves(running)
    assert list(teachers) == ["model 0", "model 1"]
    assert teachers["model 1"]["epoch"].tolist() == [0, 1]
    assert teachers["model 1"]["force_meV_per_A"].tolist() == pytest.approx([200, 100])
    assert list(students) == ["dnn"]
    assert students["dnn"]["step"].tolist() == [1, 50, 100, 101, 120]


def test_a_restart_follows_on_what_was_before(running):
    again = running / "teacher" / "work_1" / "restart_1" / "results"
    again.mkdir(parents=True)
    (again / "teacher_run-1_train.txt").write_text(teacher_line(0, 0.15) + teacher_line(1, 0.04))
    third = running / "teacher" / "work_1" / "restart_2" / "results"
    third.mkdir(parents=True)
    (third / "teacher_run-1_train.txt").write_text(teacher_line(0, 0.03))
    curve = read_curves(running)[0]["model 1"]
    assert learning_curve(running / "teacher" / "work_1", restarts=1)[-1]["epoch"] == 3
    assert curve["epoch"].tolist() == [0, 1, 2, 3, 4]
    assert curve["restart"].tolist() == [0, 0, 1, 1, 2]
    assert curve["force_meV_per_A"].tolist() == pytest.approx([200, 100, 150, 40, 30])
    fig, axes = plt.subplots()
    draw_teachers(axes, {"model 1": curve}, "force_meV_per_A")
    assert [text.get_text().strip() for text in axes.texts] == ["model 1 restarts"] * 2
    assert [text.get_position()[0] for text in axes.texts] == [2, 4]
    plt.close(fig)


def test_the_command_draws_them_and_says_where_they_are(running, capsys):
    assert main(["curves", "Al", "-o", "now.png"]) == 0
    said = capsys.readouterr().out
    assert "model 1: epoch 1, validation force 100 meV/Å, energy 10.0 meV/atom" in said
    assert "dnn: step 120, force of the last validation batch 200 meV/Å" in said
    assert Path("now.png").read_bytes().startswith(b"\x89PNG")


def test_batches_without_forces_leave_a_gap(running):
    """A teacher that does not teach forces: its batches have no error of them."""
    folder = running / "student" / "dnn-kd" / "work"
    write_lcurve(folder, [1], 0.4)
    curve = folder / "lcurve.out"
    curve.write_text(curve.read_text().replace("0.4 0.4", "0.4 nan"))
    for work in (running / "student" / "dnn" / "work").rglob("lcurve.out"):
        work.unlink()
    assert main(["curves", "Al", "-o", "now.png"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Cu"], "no training has written"),
        (["Al", "-o", "now.jpg"], ".png, .svg or .pdf"),
    ],
)
def test_what_cannot_be_drawn_is_said(running, capsys, arguments, message):
    assert main(["curves", *arguments]) != 0
    assert message in capsys.readouterr().err
