"""Scan of student networks: what a name stands for, what is refused, table and figure."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
from polymorphkd.config import validate
from polymorphkd.errors import ConfigError
from polymorphkd.settings import Settings, Student
from polymorphkd.student.scan import draw, table
from test_workflow import COMMON, job_stats, small


def settings(**student: object) -> Settings:
    return validate({"material": "Al", "elements": ["Al"], "student": student}, "Al.yaml")


def test_an_entry_changes_only_its_keys() -> None:
    student = settings(
        dft_probability=0.4,
        deepmd={"steps": 77, "rcut": 5.5},
        scan={"tight": {"deepmd": {"rcut": 4.5}}, "same": {}, "more": {"dft_probability": 0.6}},
    ).student
    assert student.scanned("same") == student.model_copy(update={"scan": {}})
    tight = student.scanned("tight")
    assert (tight.deepmd.rcut, tight.deepmd.steps, tight.dft_probability) == (4.5, 77, 0.4)
    assert student.scanned("more").dft_probability == 0.6


def test_a_size_replaces_the_network_that_is_set_and_keeps_the_schedule() -> None:
    scan = {"small": {"size": "small"}, "medium": {"size": "medium"}}
    student = settings(size="small", deepmd={"steps": 77, "rcut": 4.0}, scan=scan).student
    assert student.deepmd.rcut == 4.0
    assert student.scanned("small").deepmd == Student(size="small").deepmd.model_copy(
        update={"steps": 77}
    )
    assert student.scanned("medium").deepmd == Student().deepmd.model_copy(update={"steps": 77})


def test_a_key_of_one_family_names_it() -> None:
    scan = {
        "net": {"size": "small"},
        "line": {"pod": {"rcut": 5.0}},
        "same": {"taught": ["energy"]},
    }
    student = settings(kind="pod", scan=scan).student
    assert student.scanned("net") == Student(size="small")
    assert student.scanned("line").kind == student.scanned("same").kind == "pod"
    assert settings(scan=scan).student.scanned("line") == Student(kind="pod", pod={"rcut": 5.0})


@pytest.mark.parametrize(
    ("scan", "parts"),
    [
        ({"a b": {}}, ["student.scan.a b", "letters"]),
        ({"x": {"size": "huge"}}, ["scan.x", "size", "small"]),
        ({"..": {"size": "small"}}, ["student.scan...", "begins"]),
        ({"x": {"deepmd": {"rcutt": 4}}}, ["scan.x.deepmd.rcutt", "unknown key", "rcut,"]),
        (
            {"x": {"pod": {}, "size": "small"}},
            ["scan.x.pod", "nothing to a student of kind deepmd"],
        ),
        ({"x": {"kind": "pod", "size": "small"}}, ["scan.x.size", "to a student of kind pod"]),
        ({"x": {"sise": "small"}}, ["scan.x.sise", "unknown key", "size"]),
        ({"x": {"deepmd": {"rcut": 99}}}, ["scan.x.deepmd.rcut", "less than", "given: 99"]),
        ({"x": {"deepmd": 3}}, ["scan.x", "deepmd"]),
        ({"x": {"scan": {}}}, ["scan.x", "no scan of its own"]),
    ],
)
def test_a_scan_that_cannot_run_is_refused(scan: dict, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(scan=scan)
    for part in parts:
        assert part in str(caught.value)


def test_the_target_plans_a_training_per_entry_or_says_what_is_missing(project) -> None:
    project.write(COMMON, small(student={"scan": {"s": {"size": "small"}, "m": {}}}))
    planned = job_stats(project.run("student_scan", "--dry-run").stdout)
    assert {"train_scanned", "measure_scanned", "gather_scan"} <= planned
    assert "train_student" not in planned
    project.write(COMMON, small())
    done = project.run("student_scan", "--dry-run", check=False)
    assert done.returncode != 0
    assert "student.scan is empty" in done.stdout


def test_the_fastest_comes_first_and_every_student_is_drawn() -> None:
    def result(cost: float, force: float) -> dict[str, float]:
        return {
            "energy_meV_per_atom": force / 10,
            "force_meV_per_A": force,
            "virial_meV_per_atom": force / 3,
            "us_per_atom_step": cost,
        }

    rows = table({"large": result(300, 40), "small": result(20, 80), "medium": result(80, 55)})
    assert list(rows["student"]) == ["small", "medium", "large"]
    figure = draw(rows)
    panels = figure.axes
    assert len(panels) == 3
    assert [line.get_label() for line in panels[1].get_lines()[1:]] == list(rows["student"])
    assert list(panels[1].get_lines()[0].get_ydata()) == [80, 55, 40]
    plt.close(figure)
