"""Scans of k-spacing and cutoff: the frames, the errors, the store, the figure, the target."""

from __future__ import annotations

from typing import Any, ClassVar

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.units import GPa
from conftest import COMMON, Project, points_table
from polymorphkd.errors import EngineError, StageError
from polymorphkd.frames import Frames, from_atoms, write_frames
from polymorphkd.label import ENGINES, label_shard, make_engine
from polymorphkd.label.converge import (
    FRAMES,
    by_setting,
    errors,
    scan_engines,
    scan_frame,
    sentences,
    three_frames,
)
from polymorphkd.label.converge.figure import draw
from polymorphkd.label.result import Result
from polymorphkd.preflight import preflight
from polymorphkd.provenance import digest
from polymorphkd.report.convergence_blocks import convergence_blocks
from polymorphkd.settings import Gpaw, Label, Settings
from pydantic import ValidationError

SCAN = {"kspacings": [0.4, 0.2, 0.3], "cutoffs": [300, 400, 350]}
FINEST = (0.2, 400.0)


class Inexact:
    """EMT with errors that are known functions of k-spacing and cutoff, where GPAW would be."""

    title = "EMT with errors"
    version = "inexact 1"
    calls: ClassVar[list[tuple[float, float]]] = []
    fails: ClassVar[dict[tuple[float, float], str]] = {}

    def __init__(self, settings: Gpaw) -> None:
        self.settings = settings

    @property
    def settings_hash(self) -> str:
        return digest(self.settings.model_dump())

    @classmethod
    def problem(cls, settings: Gpaw, elements: Any) -> None:
        return None

    def calculate(self, atoms, mesh_cell=None) -> Result:
        pair = (self.settings.kspacing, self.settings.ecut)
        self.calls.append(pair)
        if pair in self.fails:
            return Result(self.fails[pair], "as it was told", 1.0)
        atoms = atoms.copy()
        atoms.calc = EMT()
        # meV/atom: 100 dk + 10 dk V from the mesh, dE/100 from the cutoff for every frame.
        k, cutoff = pair[0] - FINEST[0], FINEST[1] - pair[1]
        volume = atoms.get_volume() / len(atoms)
        shift = 1e-3 * (100 * k + 10 * k * volume + 0.01 * cutoff)
        forces = atoms.get_forces() + np.array([0.1 * k, 0, 0])
        stress = atoms.get_stress() - np.array([GPa * k] * 3 + [0] * 3)
        energy = atoms.get_potential_energy() + len(atoms) * shift
        return Result("ok", "", 1.0 + cutoff, energy, forces, stress, 10)


@pytest.fixture
def inexact(monkeypatch):
    monkeypatch.setitem(ENGINES, "gpaw", Inexact)
    monkeypatch.setattr(Inexact, "calls", [])
    monkeypatch.setattr(Inexact, "fails", {})
    return Inexact


def label(**changes) -> Label:
    gpaw = {"kspacing": 0.35, "ecut": 350, **changes.pop("gpaw", {})}
    return Label(gpaw=gpaw, converge={**SCAN, **changes})


def cells(volumes=(12.0, 16.0, 20.0)) -> list[Frames]:
    found = []
    for i, volume in enumerate(volumes):
        atoms = bulk("Al", "fcc", (4 * volume) ** (1 / 3), cubic=True)
        atoms.rattle(0.1, seed=i)
        found.append(from_atoms([atoms]))
    return found


def scanned(settings: Label, folder) -> pd.DataFrame:
    scans = {n: scan_frame(c, settings, folder) for n, c in zip(FRAMES, cells(), strict=True)}
    return errors(scans, settings.converge)


def test_the_frames_are_the_ends_in_density_and_the_middle_of_the_landscape():
    xy = np.array([[-9, 0.5], [-5, 0.3], [-5.1, 0.31], [-1, 0.1], [-5, 0.3], [-4.9, 0.29]])
    points = points_table(xy, volume_per_atom=[10.0, 16, 16.2, 30, 22, 15.9])
    assert three_frames(points) == {
        "densest": "0000000", "typical": "0000001", "sparsest": "0000003"
    }  # fmt: skip
    assert three_frames(points[::-1]) == three_frames(points)
    unknown = points.assign(sS=[-9, np.nan, -5.1, -1, -5, -4.9])
    assert three_frames(unknown)["typical"] in ("0000002", "0000005")
    alike = points_table(np.zeros((3, 2)))
    assert sorted(three_frames(alike).values()) == alike["frame_id"].tolist()
    with pytest.raises(StageError, match="needs three frames, but the standard set has 2"):
        three_frames(points.iloc[[0, 0, 1]])


def test_errors_are_those_that_the_engine_was_given(inexact, tmp_path):
    settings = label(tolerance_energy=5.0, tolerance_force=7.0)
    table = scanned(settings, tmp_path)
    assert len(table) == 3 * 6
    volume = table["volume_per_atom"]
    k, cutoff = table["kspacing"] - 0.2, 400 - table["cutoff"]
    np.testing.assert_allclose(
        table["energy_error"], 100 * k + 10 * k * volume + 0.01 * cutoff, atol=1e-6
    )
    np.testing.assert_allclose(table["difference_error"], 10 * k * (volume - 16), atol=1e-6)
    np.testing.assert_allclose(table["force_max"], 100 * k, atol=1e-6)
    np.testing.assert_allclose(table["force_rmse"], 100 * k / 3**0.5, atol=1e-6)
    np.testing.assert_allclose(table["pressure_error"], k, atol=1e-9)
    rows = by_setting(table, settings)
    assert rows[["scan", "kspacing", "cutoff"]].to_numpy().tolist() == [
        ["kspacing", 0.4, 400], ["kspacing", 0.3, 400], ["kspacing", 0.2, 400],
        ["cutoff", 0.2, 300], ["cutoff", 0.2, 350], ["cutoff", 0.2, 400], ["present", 0.35, 350],
    ]  # fmt: skip
    np.testing.assert_allclose(rows["difference_error"], [8, 4, 0, 0, 0, 0, 6], atol=1e-6)
    # The cutoff shifts every frame alike, which harms no potential.
    assert rows["energy_error"][3] == pytest.approx(1.0)
    assert rows["within"].tolist() == [False, True, True, True, True, True, False]
    assert rows["mark"].tolist() == [
        "", "coarsest within tolerances", "finest", "coarsest within tolerances", "", "finest",
        "present",
    ]  # fmt: skip
    said = sentences(rows, settings.converge)
    assert said[0].startswith("k-spacing: 0.3 1/Å is the coarsest within 5 meV/atom and 7 meV/Å")
    assert said[1].startswith("cutoff: 300 eV is the coarsest")
    assert said[2].startswith("in use: k-spacing 0.35 1/Å, cutoff 350 eV: 6 meV/atom")
    assert said[2].endswith("NOT within the tolerances")
    strict = label(tolerance_force=1e-3)
    said = sentences(by_setting(table, strict), strict.converge)
    assert said[0].startswith("k-spacing: only the finest of the scan is within")


def test_a_setting_counts_only_if_all_finer_ones_keep_the_tolerances(inexact, tmp_path):
    settings = label(tolerance_energy=20.0, tolerance_force=20.0)
    table = scanned(settings, tmp_path)
    table.loc[table["kspacing"] == 0.3, "force_rmse"] = 21.0  # by chance coarse looks better
    rows = by_setting(table, settings)
    assert rows["within"].tolist()[:3] == [True, False, True]
    assert rows["mark"].tolist()[:3] == ["", "", "finest"]


def test_labels_of_the_set_and_of_a_scan_are_computed_once(inexact, tmp_path):
    settings = label()
    (frame, *_) = cells()
    label_shard(frame, make_engine(settings), tmp_path)
    assert inexact.calls == [(0.35, 350.0)]
    first = scan_frame(frame, settings, tmp_path)
    assert len(inexact.calls) == len(set(inexact.calls)) == len(first) == 6
    again = scan_frame(frame, settings, tmp_path)
    more = scan_frame(frame, label(cutoffs=[300, 400, 370]), tmp_path)
    assert inexact.calls[6:] == [(0.2, 370.0)]
    np.testing.assert_array_equal(first.energy, again.energy)
    assert len(more) == 6
    label_shard(frame, make_engine(settings), tmp_path)
    assert len(inexact.calls) == 7


def test_failures_are_rows_and_no_setting_is_chosen_by_them(inexact, tmp_path):
    inexact.fails[0.3, 400.0] = "unconverged"
    inexact.fails[0.2, 300.0] = "timeout"
    settings = label(tolerance_energy=20.0, tolerance_force=20.0)
    table = scanned(settings, tmp_path)
    failed = table[table["status"] != "ok"]
    assert failed.groupby("status").size().to_dict() == {"timeout": 3, "unconverged": 3}
    assert failed[["energy", "energy_error", "force_rmse"]].isna().all(axis=None)
    rows = by_setting(table, settings)
    assert rows["n_ok"].tolist() == [3, 0, 3, 0, 3, 3, 3]
    assert rows["mark"].tolist()[:3] == ["", "", "finest"]
    assert rows["mark"][4] == "coarsest within tolerances"
    figure = draw(table, settings)
    plt.close(figure)
    before = len(inexact.calls)
    scan_frame(cells()[0], settings, tmp_path)
    assert inexact.calls[before:] == [(0.2, 300.0)]  # what failed by its machine is tried again
    inexact.fails[FINEST] = "crashed"
    with pytest.raises(StageError, match="no frame could be labelled at the finest settings"):
        scanned(settings, tmp_path / "other")


def test_what_cannot_be_scanned_is_said_before_any_job(vasp_label, monkeypatch):
    for changes, what in (
        ({"kspacings": [0.4, 0.36]}, r"kspacings: the finest, 0.36, is coarser than label.gpaw"),
        ({"cutoffs": [200, 300]}, r"the finest, 300, is coarser than label.gpaw.ecut, 350"),
        ({"cutoffs": [50, 400]}, r"label.gpaw.ecut: must be .* 100 \(given: 50.0"),
        ({"kspacings": [0.2, 0.2]}, "a value is named twice"),
        ({"kspacings": [0.2]}, "at least 2 items"),
    ):  # fmt: skip
        with pytest.raises(ValidationError, match=what):
            label(**changes)
    with pytest.raises(ValidationError, match="the engine ase has no k-spacing and cutoff"):
        Label(engine="ase", converge=SCAN)
    fixed = vasp_label(incar={"ENCUT": 700}).model_dump()
    scan = {"kspacings": [0.3, 0.2], "cutoffs": [600, 700]}
    settings = Settings(material="Al", elements=["Al"], label={**fixed, "converge": scan})
    with pytest.raises(EngineError, match=r"label\.vasp\.encut changes nothing"):
        preflight(settings)
    free = Settings(
        material="Al", elements=["Al"], label={**vasp_label().model_dump(), "converge": scan}
    )
    preflight(free)
    assert len(scan_engines(free.label)) == 4


def test_the_figure_holds_every_label_and_the_limits(inexact, tmp_path):
    settings = label()
    figure = draw(scanned(settings, tmp_path), settings)
    try:
        titles = [axes.get_title(loc="left") for axes in figure.axes]
        assert titles[:2] == ["k-spacing, at cutoff 400 eV", "cutoff, at k-spacing 0.2 1/Å"]
        cost = figure.axes[4]
        drawn = [line for line in cost.lines if len(line.get_xdata()) == 3]
        assert len(drawn) == 3
        assert figure.axes[0].get_xlim()[0] > figure.axes[0].get_xlim()[1]  # fine on the right
        texts = [text.get_text() for text in figure.legends[0].get_texts()]
        assert any(text.startswith("densest (12.0 Å³/atom, 4 atoms)") for text in texts)
    finally:
        plt.close(figure)


def test_the_report_shows_a_scan(inexact, tmp_path):
    settings = label()
    figure, numbers = convergence_blocks(scanned(settings, tmp_path), settings)
    assert figure.images[0].uri.startswith("data:image/svg+xml")
    assert "in use: k-spacing 0.35 1/Å" in figure.caption
    assert [row[0] for row in numbers.rows][-1] == "present"
    assert {len(row) for row in numbers.rows} == {len(numbers.columns)}


ALUMINIUM: dict[str, Any] = {
    "elements": ["Al"],
    "landscape": {"cutoff": 3.4},
    "inputs": {"standard": "standard.extxyz", "supplementary": "standard.extxyz"},
    "label": {
        "n_shards": 1,
        "gpaw": {"ecut": 150, "kspacing": 0.9, "width": 0.5},
        "gates": {"max_entropy": None},
        "converge": {"kspacings": [0.9, 0.7], "cutoffs": [150, 200]},
    },
}


@pytest.fixture
def three(project, tmp_path) -> Project:
    """A project with three cells of 2 to 4 atoms to label."""
    images = []
    for i, (structure, a) in enumerate((("fcc", 3.8), ("bcc", 3.25), ("fcc", 4.3))):
        atoms = bulk("Al", structure, a, cubic=True)
        atoms.rattle(0.08, seed=i)
        images.append(atoms)
    write_frames(tmp_path / "standard.extxyz", from_atoms(images))
    project.write(COMMON, ALUMINIUM)
    return project


@pytest.mark.dft
@pytest.mark.chain
@pytest.mark.slow
def test_a_scan_with_gpaw_through_the_workflow(three):
    said = three.run("converge", cores=1).stdout
    folder = three.results / "label"
    assert (folder / "convergence.png").stat().st_size > 20_000
    rows = pd.read_csv(folder / "convergence.tsv", sep="\t")
    assert rows["mark"].fillna("").str.contains("present").sum() == 1
    assert (rows["n_ok"] == 3).all()
    assert rows["force_rmse"].max() > 1.0
    assert "in use: k-spacing 0.9 1/Å, cutoff 150 eV" in said
    table = pd.read_parquet(folder / "convergence.parquet")
    assert len(table) == 3 * 4
    assert not (folder / "labelled.extxyz").exists()
    stored = {path: path.stat().st_mtime_ns for path in (folder / "store").rglob("*.json")}
    assert len(stored) == 12
    assert "Nothing to be done" in three.run("converge", "--dry-run").stdout
    # The labels of the set take what the scan made, and a longer scan adds to it.
    three.run("results/Al/label/labelled.extxyz", cores=1)
    longer = {"kspacings": [0.9, 0.7], "cutoffs": [150, 180, 200]}
    three.write(COMMON, {**ALUMINIUM, "label": {**ALUMINIUM["label"], "converge": longer}})
    assert three.planned("results/Al/label/labelled.extxyz") == set()
    three.run("converge", cores=1)
    after = {path: path.stat().st_mtime_ns for path in (folder / "store").rglob("*.json")}
    assert len(after) == 15
    assert stored.items() <= after.items()


@pytest.mark.chain
def test_the_target_says_what_it_needs(three):
    plain = {k: v for k, v in ALUMINIUM["label"].items() if k != "converge"}
    three.write(COMMON, {**ALUMINIUM, "label": plain})
    done = three.run("converge", "--dry-run", check=False)
    assert done.returncode != 0
    assert "converge: label.converge is null for every material" in done.stdout
    assert "scan_convergence" not in three.planned()
    three.write(COMMON, ALUMINIUM)
    assert {"scan_convergence", "gather_convergence"} <= three.planned()
