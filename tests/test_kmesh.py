"""k-meshes of labels from files: which can come from one spacing, and what is said if not."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from polymorphkd.cli import main
from polymorphkd.frames import from_atoms
from polymorphkd.label.external import External
from polymorphkd.label.gpaw_engine import mesh
from polymorphkd.label.kmesh import largest_spacing, mesh_groups, notes, possible_spacings
from polymorphkd.label.vasp.outcar import mesh_of, read_outcar
from polymorphkd.label.vasp.output import RunSettings
from polymorphkd.label.vasp.xml import read_xml

PERIODIC = np.ones(3, bool)


def cells(n=200) -> list[np.ndarray]:
    random = np.random.default_rng(2)
    return [
        np.diag(random.uniform(2.5, 15, 3)) @ (np.eye(3) + random.normal(0, 0.15, (3, 3)))
        for _ in range(n)
    ]


def frame(name: str, cell: np.ndarray, points) -> External:
    atoms = bulk("Al")
    atoms.set_cell(cell)
    settings = RunSettings(
        "6.4.2", "PBE", 600, 0, 0.05, 1, 100, 1e-6, mesh=tuple(int(n) for n in points)
    )
    return External(name, 0, "ok", "", from_atoms([atoms]), settings)


def nearest(cell, spacing):
    lengths = 2 * np.pi * np.linalg.norm(np.linalg.inv(cell), axis=0)
    return np.maximum(1, np.rint(lengths / spacing))


@pytest.mark.parametrize("spacing", [0.15, 0.25, 0.5])
@pytest.mark.parametrize("rounded", [lambda c, k: mesh(c, PERIODIC, k), nearest])
def test_one_setting_is_one_group_however_it_rounds(spacing, rounded):
    frames = [frame(str(i), cell, rounded(cell, spacing)) for i, cell in enumerate(cells())]
    actual = [largest_spacing(f.frame.cells[0], f.settings.mesh) for f in frames]
    assert max(actual) > 1.1 * min(actual)  # spacings alone do not tell
    (group,) = mesh_groups(frames)
    assert sorted(group.members) == list(range(len(frames)))
    assert group.spacings == (min(actual), max(actual))
    assert notes([group]) == {}


def test_two_settings_are_two_groups():
    frames = [
        frame(str(i), cell, mesh(cell, PERIODIC, 0.5 if i % 3 == 0 else 0.2))
        for i, cell in enumerate(cells(60))
        if np.linalg.norm(cell, axis=1).max() < 12
    ]
    fine, coarse = mesh_groups(frames)
    spacings = {one.settings.mesh: one for one in frames}
    assert len(spacings) > 5
    assert {int(frames[i].file) % 3 for i in coarse.members} == {0}
    told = notes([fine, coarse])
    assert set(told) == set(coarse.members)
    assert all("most frames have" in text for text in told.values())


def test_ranges_and_meshes_by_hand():
    cube = np.eye(3) * 2 * np.pi
    assert possible_spacings(cube, (4, 4, 4)) == pytest.approx((1 / 5, 1 / 3))
    assert possible_spacings(cube, (1, 1, 1)) == (0.5, np.inf)
    assert possible_spacings(cube, (4, 4, 8)) == pytest.approx((1 / 7, 1 / 5))  # no spacing at all
    slab = np.diag([2 * np.pi, 2 * np.pi, 60.0])
    assert possible_spacings(slab, (4, 4, 1)) == pytest.approx((1 / 5, 1 / 3))
    assert mesh_of([[0, 0, 0, 1.0], [0.5, 0, 0, 1.0]]) == (2, 1, 1)
    assert mesh_of([[0, 0, 0, 1.0], [0.1, 0.1, 0, 1.0], [0.2, 0.2, 0, 1.0]]) is None  # a line
    assert mesh_of([]) is None


def test_outcar_and_xml_tell_the_same_mesh(shared_data):
    folder = shared_data / "vasp/ok"
    for xml, outcar, wanted in (
        ("relaxation_Li.vasprun.xml.gz", "relaxation_Li.OUTCAR.gz", (6, 6, 6)),
        ("static_silicon.vasprun.xml.gz", "static_silicon.OUTCAR.gz", (4, 4, 4)),
        ("vasprun.etest1.xml.gz", "OUTCAR.etest1.gz", (1, 1, 1)),
    ):
        assert read_xml(folder / xml).settings.mesh == wanted
        assert read_outcar(folder / outcar).settings.mesh == wanted
    assert read_outcar(folder / "OUTCAR.Al.gz").settings.mesh == (19, 19, 19)
    assert read_xml(folder / "vasprun.LiF.xml.gz").settings.mesh == (7, 7, 7)


def test_another_density_is_a_note_or_refused(shared_data, tmp_path, capsys):
    fine = shared_data / "vasp/ok/vasprun.r2scan.xml.gz"
    text = gzip.decompress(fine.read_bytes()).decode()
    assert "13       13       13" in text
    coarse = tmp_path / "vasprun.coarse.xml"
    coarse.write_text(text.replace("13       13       13", "5       5       5"))
    out, records = tmp_path / "out.extxyz", tmp_path / "records.csv"
    command = ["import-labels", str(fine), str(coarse), "-o", str(out), "--records", str(records)]
    assert main(command) == 0
    table = pd.read_csv(records)
    assert table["kspacing"].tolist() == pytest.approx([2.66511 / 13, 2.66511 / 5], abs=1e-4)
    assert table["note"].fillna("").str.contains("k-mesh of another density").tolist() == [
        False, True
    ]  # fmt: skip
    assert main([*command, "--force", "--same-mesh"]) == 1
    said = capsys.readouterr().err
    assert "no one spacing gives them all" in said
    assert str(coarse) in said
