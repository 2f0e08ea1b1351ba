"""Runs that start in the middle, start again, or are killed; EMT stands in for DFT."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pandas as pd
import pytest
from ase.build import bulk
from ase.io import write
from conftest import COMMON, SMALL, SPLIT, Project
from mace_files import untrained_mace
from polymorphkd.frames import write_frames
from polymorphkd.readers import read_frames


def small(**changes) -> dict:
    return {**SMALL, **changes}


@pytest.fixture(scope="module")
def front_half(tmp_path_factory) -> Project:
    """A project run from bare prototypes to the split, with EMT as engine."""
    project = Project(tmp_path_factory.mktemp("front"))
    project.write(COMMON, SMALL)
    project.run(*SPLIT)
    return project


def signature(project: Project) -> dict[str, list[str]]:
    files = [
        "generate/library.parquet", "select/standard.extxyz", "select/supplementary.extxyz",
        "label/labelled.extxyz", "split/train.extxyz", "split/valid.extxyz", "split/test.extxyz",
    ]  # fmt: skip
    return {name: read_frames(project.results / name).frame_ids() for name in files}


@pytest.mark.slow
def test_cores_and_shards_change_nothing(front_half, tmp_path):
    other = Project(tmp_path / "other")
    changed = {
        **SMALL,
        "generate": {**SMALL["generate"], "n_shards": 5},
        "label": {"engine": "ase", "n_shards": 1},
    }
    other.write(COMMON, changed)
    other.run(*SPLIT, cores=1)
    assert signature(other) == signature(front_half)
    again = Project(tmp_path / "seed")
    again.write({**COMMON, "seed": 2}, SMALL)
    again.run("results/Al/generate/library.parquet")
    library = read_frames(again.results / "generate/library.parquet").frame_ids()
    assert library != signature(front_half)["generate/library.parquet"]


@pytest.mark.slow
def test_sets_are_disjoint_and_records_are_complete(front_half):
    found = signature(front_half)
    assert not set(found["select/standard.extxyz"]) & set(found["select/supplementary.extxyz"])
    for name, number in (("standard", 1), ("supplementary", 2)):
        frames = read_frames(front_half.results / f"select/{name}.extxyz")
        assert set(frames.meta["round"]) == {number}
    parts = [found[f"split/{name}.extxyz"] for name in ("train", "valid", "test")]
    assert sorted([*parts[0], *parts[1], *parts[2]]) == found["label/labelled.extxyz"]
    records = pd.read_parquet(front_half.results / "label/records.parquet")
    assert sorted(records["frame_id"]) == found["select/standard.extxyz"]


@pytest.mark.slow
def test_a_second_run_has_nothing_to_do(front_half):
    assert "Nothing to be done" in front_half.run("--dry-run", *SPLIT).stdout


@pytest.mark.slow
def test_a_changed_setting_reruns_its_stage_and_what_follows(front_half):
    def planned(**changes):
        front_half.write(COMMON, {**SMALL, **changes})
        try:
            return front_half.planned()
        finally:
            front_half.write(COMMON, SMALL)

    downstream = planned()  # what was never made: teacher to report
    student = planned(student={"deepmd": {"steps": 100}})
    assert student == downstream
    split = planned(split={"test_fraction": 0.3})
    assert split == downstream | {"split_frames"}
    gates = planned(label={**SMALL["label"], "gates": {"max_force": 14}})
    assert "label_frames" not in gates
    assert {"gather_labels", "split_frames"} <= gates
    selected = planned(select={**SMALL["select"], "standard": {"count": 20}})
    assert "evolve_targets" not in selected
    assert {"select_frames", "label_frames"} <= selected


@pytest.mark.slow
def test_own_seeds_of_any_format(project):
    atoms = bulk("Al", "fcc", 4.05, cubic=True)
    write(project.folder / "POSCAR", atoms, format="vasp")
    bcc = bulk("Al", "bcc", 3.2, cubic=True)
    write(project.folder / "bcc.cif", bcc)
    project.write(COMMON, small(inputs={"seeds": ["POSCAR", "*.cif"]}))
    project.run("results/Al/select/standard.extxyz")
    seeds = read_frames(project.results / "seeds/frames.parquet")
    assert sorted(seeds.n_atoms) == [2, 4]
    library = read_frames(project.results / "generate/library.parquet")
    assert set(library.meta["root"]) <= set(seeds.frame_ids())


@pytest.mark.slow
def test_own_library_and_own_selection_skip_what_comes_before(front_half, project):
    library = read_frames(front_half.results / "generate/library.parquet")
    write_frames(project.folder / "mine.extxyz", library.take(range(0, len(library), 2)))
    project.write(COMMON, small(inputs={"library": "mine.extxyz"}))
    planned = project.planned(*SPLIT)
    assert "select_frames" in planned
    assert not planned & {"collect_seeds", "evolve_targets", "merge_library"}
    project.run(*SPLIT)
    own = set(read_frames(project.folder / "mine.extxyz").frame_ids())
    assert set(read_frames(project.results / "label/labelled.extxyz").frame_ids()) <= own

    write_frames(project.folder / "choice.extxyz", library.take(range(30)))
    inputs = {"standard": "choice.extxyz", "supplementary": "mine.extxyz"}
    project.write(COMMON, small(inputs=inputs))
    planned = project.planned(*SPLIT)
    assert not planned & {"collect_seeds", "evolve_targets", "select_frames"}


@pytest.mark.slow
def test_own_labels_need_no_engine(front_half, project):
    labelled = front_half.results / "label/labelled.extxyz"
    inputs = {"labelled": str(labelled)}
    project.write(COMMON, small(inputs=inputs, label={"engine": "gpaw"}))
    planned = project.planned()
    assert not planned & {"label_frames", "gather_labels", "scan_volumes_dft"}
    project.run(*SPLIT)
    names = [project.folder / name for name in SPLIT]
    found = [frame for name in names for frame in read_frames(name).frame_ids()]
    assert sorted(found) == read_frames(labelled).frame_ids()


@pytest.mark.slow
def test_own_teacher_skips_its_training(front_half, project):
    inputs = {
        "labelled": str(front_half.results / "label/labelled.extxyz"),
        "supplementary": str(front_half.results / "select/supplementary.extxyz"),
        "teacher": ["mine.model"],
    }
    untrained_mace(project.folder / "mine.model", ["Al"])
    project.write(COMMON, small(inputs=inputs))
    planned = project.planned()
    assert "train_teacher" not in planned
    assert not planned & {"collect_seeds", "evolve_targets", "select_frames", "label_frames"}
    assert {"relabel_frames", "train_student", "make_report"} <= planned


@pytest.mark.slow
def test_a_foundation_trains_the_teacher_from_it_and_again_when_its_file_changes(
    front_half, project
):
    labels = {"labelled": str(front_half.results / "label/labelled.extxyz")}
    teacher = "results/Al/teacher/model_0.model"
    settings = {"teacher": {"mace": {"epochs": 1, "learning_rate": 1e-9}}}
    untrained_mace(project.folder / "first.model", ["Al", "Cu"])
    project.write(COMMON, small(inputs={**labels, "foundation": "first.model"}, **settings))
    project.run(teacher)
    assert (
        "starting from first.model (4x0e, 1 layers, 4.0 Å)"
        in (project.results / "logs/train_teacher/0.log").read_text()
    )
    assert not project.planned(teacher)
    untrained_mace(project.folder / "first.model", ["Al"])
    assert project.planned(teacher) == {"train_teacher"}


@pytest.mark.slow
def test_kill_of_the_whole_run_in_mid_labelling(front_half, project):
    """kill -9 of Snakemake and its jobs; the next run repeats no finished label."""
    log = project.folder / "calculations.log"
    engine = {
        "calculator": "recording_calculators.RecordingEMT",
        "arguments": {"log": str(log), "seconds": 0.3},
    }
    inputs = {"standard": str(front_half.results / "select/standard.extxyz")}
    label = {"engine": "ase", "ase": engine, "n_shards": 2}
    project.write(COMMON, small(inputs=inputs, label=label))
    target = "results/Al/label/labelled.extxyz"
    process = subprocess.Popen(
        project.command(target), env=project.environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not log.exists() or len(log.read_text().splitlines()) < 8:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    stored = {path.stem for path in (project.results / "label/store").rglob("[!.]*.json")}
    assert len(stored) >= 6
    assert not (project.folder / target).exists()
    before = log.read_text().splitlines()
    project.run("--unlock")
    project.run(target)
    frames = read_frames(project.folder / target)
    total = read_frames(inputs["standard"])
    assert frames.frame_ids() == sorted(total.frame_ids())
    # The check before any job computes one atom at the origin; it is no label.
    lines = log.read_text().splitlines()[len(before) :]
    after = [line for line in lines if not line.endswith(" 0.00000000")]
    assert len(after) == len(total) - len(stored)
