"""The whole chain on real DFT, as small as it gets."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from conftest import COMMON, Project
from polymorphkd.readers import read_frames

MINIATURE = {
    "elements": ["Al"],
    "seeds": {
        "prototypes": ["fcc", "bcc"],
        "n_atoms": [2, 4],
        "md": {"steps": 40, "temperatures": [1500], "snapshots": 1},
    },
    "landscape": {"cutoff": 3.4},
    "generate": {"targets_per_edge": 2, "generations": 5, "population": 10, "n_shards": 2},
    "select": {"standard": {"count": 24}, "supplementary": {"count": 50}},
    "label": {"gpaw": {"ecut": 200, "kspacing": 0.6, "smearing": "fermi-dirac", "width": 0.4},
              "gates": {"max_entropy": None}, "n_shards": 2},
    "split": {"test_fraction": 0.2, "valid_fraction": 0.15},
    "teacher": {"mace": {"channels": 4, "max_L": 0, "correlation": 2, "epochs": 6}},
    "relabel": {"walk": {"steps": 4, "every": 2, "temperatures": [300, 1500]}},
    "student": {"deepmd": {"steps": 400, "embedding": [8, 16], "fitting": [16, 16]}},
    "properties": {"volume_range": 0.1},
    "deploy": {"repeat": 3, "steps": 200},
}  # fmt: skip


@pytest.fixture(scope="module")
def miniature(tmp_path_factory) -> Project:
    """The whole chain on real DFT, as small as it gets."""
    project = Project(tmp_path_factory.mktemp("chain"))
    project.write(COMMON, MINIATURE)
    project.run()
    return project


@pytest.mark.chain
@pytest.mark.slow
def test_miniature_chain_delivers(miniature):
    summary = json.loads((miniature.results / "summary.json").read_text())
    models = ("teacher", "dnn", "dnn-kd")
    assert set(summary["rmse"]) == set(models)
    for model in models:
        values = summary["rmse"][model]
        assert set(values) == {"energy_meV_per_atom", "force_meV_per_A", "virial_meV_per_atom"}
        assert all(np.isfinite(value) and value > 0 for value in values.values())
    dft = summary["properties"]["dft"]
    assert 3.9 < dft["a0_A"] < 4.2
    assert 40 < dft["B0_GPa"] < 120
    counts = summary["counts"]
    assert counts["labelled"] + counts["failed"] == counts["standard"] <= 24
    assert counts["library"] > 200
    assert counts["test"] == len(read_frames(miniature.results / "split/test.extxyz"))
    assert summary["seconds"]["label"] > 0
    walked = read_frames(miniature.results / "relabel/labelled.extxyz")
    assert set(walked.meta["walk_step"]) == {0, 2, 4}
    assert len(walked) > counts["supplementary"]
    records = pd.read_parquet(miniature.results / "relabel/records.parquet")
    assert set(walked.frame_ids()) <= set(records["frame_id"])
    assert records[["sS", "Q6", "cell_sS", "cell_Q6"]].notna().all(axis=None)
    student = miniature.results / "student/dnn-kd"
    for name in ("potential.lmp", "model.pb", "in.lammps", "MODEL_CARD.md"):
        assert (student / name).stat().st_size > 0
    assert (miniature.results / "report.html").stat().st_size > 100_000


@pytest.mark.chain
@pytest.mark.slow
def test_test_frames_reach_no_training(miniature):
    results = miniature.results
    test = set(read_frames(results / "split/test.extxyz").frame_ids())
    for name in ("split/train.extxyz", "split/valid.extxyz", "relabel/labelled.extxyz"):
        assert not test & set(read_frames(results / name).frame_ids())


@pytest.mark.chain
@pytest.mark.slow
def test_a_changed_student_reruns_the_student_and_what_follows(miniature):
    assert "Nothing to be done" in miniature.run("--dry-run").stdout
    changed = {**MINIATURE["student"]["deepmd"], "steps": 500}
    miniature.write(COMMON, {**MINIATURE, "student": {"deepmd": changed}})
    try:
        planned = miniature.planned()
    finally:
        miniature.write(COMMON, MINIATURE)
    assert "train_student" in planned
    assert planned <= {
        "all", "train_student", "evaluate_model", "gather_errors", "scan_volumes",
        "check_lammps", "write_card", "make_report",
    }  # fmt: skip


@pytest.mark.chain
@pytest.mark.slow
def test_a_scan_of_students_compares_error_and_cost_and_touches_no_other_model(miniature):
    entries = {
        "smaller": {"deepmd": {"steps": 100, "embedding": [4, 8]}},
        "linear": {"kind": "pod", "pod": {"rcut": 4.0}},
        "as-set": {},
    }
    miniature.write(COMMON, {**MINIATURE, "student": {**MINIATURE["student"], "scan": entries}})
    try:
        assert miniature.planned() == {"all", "make_report"}  # which lists all settings
        miniature.run("student_scan")
    finally:
        miniature.write(COMMON, MINIATURE)
    rows = pd.read_csv(miniature.results / "student/scan.tsv", sep="\t")
    assert set(rows["student"]) == {"smaller", "linear", "as-set"}
    assert rows["us_per_atom_step"].is_monotonic_increasing
    numbers = rows.set_index("student")
    assert numbers.loc["smaller", "embedding"] == "[4, 8]"
    assert numbers.loc["linear", "kind"] == "pod"
    assert numbers.loc["linear", "rcut"] == 4.0
    # The same network, data and seed as dnn-kd: the same model and so the same errors.
    metrics = json.loads((miniature.results / "student/dnn-kd/metrics.json").read_text())
    for key in ("energy_meV_per_atom", "force_meV_per_A"):
        expected = metrics["rmse"]["valid"][key]
        assert numbers.loc["as-set", key] == pytest.approx(expected, rel=0.02), key
    assert (miniature.results / "student/scan.png").stat().st_size > 10_000


@pytest.mark.chain
@pytest.mark.slow
def test_linear_students_take_the_place_of_the_networks(miniature):
    """Last, because it replaces the students of the run."""
    miniature.write(COMMON, {**MINIATURE, "student": {"kind": "pod"}})
    assert not miniature.planned() & {"label_frames", "train_teacher", "relabel_frames"}
    miniature.run()
    assert "Nothing to be done" in miniature.run("--dry-run").stdout
    student = miniature.results / "student/dnn-kd"
    text = (student / "potential.lmp").read_text()
    assert text.endswith("pair_coeff * * model.pod coefficients.pod Al\n")
    assert "A linear POD" in (student / "MODEL_CARD.md").read_text()
    # A dozen frames of few atoms make no potential for a crystal at work: its run in LAMMPS may
    # fly apart, and that is a result.
    nve = json.loads((miniature.results / "deploy/dnn-kd/nve.json").read_text())
    assert nve["forces_agree_eV_per_A"] < 1e-6
    assert nve["passed"] == (not nve["reason"])
    report = (miniature.results / "report.html").read_text()
    assert "coefficients" in report
