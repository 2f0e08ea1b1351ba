"""polymorphkd import-labels: files of any kind through the gates, with a row per frame."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from polymorphkd.cli import main
from polymorphkd.frames import write_frames
from polymorphkd.label import label_shard, make_engine
from polymorphkd.preflight import preflight
from polymorphkd.readers import read_frames
from polymorphkd.settings import Label, Settings
from reading import write_deepmd


@pytest.fixture
def labelled(aluminium, tmp_path):
    return label_shard(aluminium, make_engine(Label(engine="ase")), tmp_path / "store")


def run(folder, *files, options=()):
    out, records = folder / "labelled.extxyz", folder / "records.csv"
    code = main(
        ["import-labels", *map(str, files), "-o", str(out), "--records", str(records), *options]
    )
    return code, out, pd.read_csv(records) if records.exists() else None


def test_labels_of_another_program_can_start_the_chain(labelled, tmp_path):
    images = labelled.without_labels().to_atoms()
    for i, atoms in enumerate(images):
        atoms.info.clear()
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=labelled.energy[i],
            forces=labelled.forces[labelled.atoms_of(i)],
            stress=labelled.stress[i],
        )
    write(tmp_path / "theirs.extxyz", images)
    code, out, records = run(tmp_path, tmp_path / "theirs.extxyz")
    assert code == 0
    first = ["file", "index", "status", "reason", "energy", "n_atoms"]
    assert records.columns[:6].tolist() == first
    assert (records["status"] == "ok").all()
    np.testing.assert_allclose(records["energy"], labelled.energy, atol=1e-8)
    again = read_frames(out)
    assert again.frame_ids() == sorted(labelled.frame_ids())
    assert set(again.meta["fidelity"]) == {"external"}
    settings = Settings(
        material="Al", elements=["Al"], inputs={"labelled": str(out)}, label={"engine": "gpaw"}
    )
    preflight(settings)


def test_gates_duplicates_and_broken_files_are_rows(labelled, tmp_path, capsys):
    write_frames(tmp_path / "a.extxyz", labelled)
    write_frames(tmp_path / "b.extxyz", labelled.take([3, 0]))
    (tmp_path / "c.xyz").write_text("no structure\n")
    bare = labelled.take([5]).without_labels()
    bare.positions = bare.positions + [[0.1, 0, 0]] * len(bare.positions)
    write_frames(tmp_path / "d.extxyz", bare)
    forces = [
        np.linalg.norm(labelled.forces[labelled.atoms_of(i)], axis=1).max() for i in range(12)
    ]
    limit = float(np.sort(forces)[-2]) + 1e-9
    code, out, records = run(
        tmp_path, *(tmp_path / name for name in ("a.extxyz", "b.extxyz", "c.xyz", "d.extxyz")),
        options=["--max-force", str(limit)],
    )  # fmt: skip
    assert code == 0
    assert records["status"].value_counts().to_dict() == {
        "ok": 11, "rejected:duplicate": 2, "rejected:max_force": 1, "rejected:file": 1,
        "rejected:energy": 1,
    }  # fmt: skip
    assert len(read_frames(out)) == 11
    assert "11  ok" in capsys.readouterr().out
    twin = records[records["status"] == "rejected:duplicate"].iloc[0]
    assert twin["reason"] == f"same structure as frame 3 of {tmp_path / 'a.extxyz'}"
    assert run(tmp_path, tmp_path / "a.extxyz")[0] == 1
    assert "exists already" in capsys.readouterr().err


def test_deepmd_folders(tmp_path):
    folder = write_deepmd(tmp_path / "system")
    options = ["--max-force", "inf", "--max-pressure", "1e9", "--min-distance", "0"]
    code, out, records = run(tmp_path, folder, options=[*options, "--energy-window", "inf"])
    assert code == 0
    assert len(records) == 8
    assert len(read_frames(out)) == (records["status"] == "ok").sum() > 0


def test_no_label_left_is_an_error_with_a_table(labelled, tmp_path, capsys):
    write_frames(tmp_path / "a.extxyz", labelled)
    code, out, records = run(tmp_path, tmp_path / "a.extxyz", options=["--max-force", "1e-9"])
    assert code == 1
    assert not out.exists()
    assert (records["status"] == "rejected:max_force").all()
    assert "12 of 12 frames failed, no label is left" in capsys.readouterr().err
    assert run(tmp_path, tmp_path / "none.xyz")[0] == 1
    assert "none.xyz: no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("one", "two", "what"),
    [
        ("vasprun.LiF.xml.gz", "vasprun.r2scan.xml.gz", "program VASP 6, functional r2SCAN"),
        ("vasprun.r2scan.xml.gz", "vasprun.scan.xml.gz", "functional SCAN"),
        ("OUTCAR.Al.gz", "vasprun.Al.xml.gz", "functional r2SCAN"),
        ("OUTCAR.Al.gz", "relaxation_Li.OUTCAR.gz", None),
        ("vasprun.magmom_ldau.xml.gz", "OUTCAR.Al.gz", "PBE + U"),
    ],
)
def test_methods_never_mix(shared_data, tmp_path, capsys, one, two, what):
    folder = shared_data / "vasp/ok"
    code, out, records = run(tmp_path, folder / one, folder / two)
    assert (code, out.exists()) == ((0, True) if what is None else (1, False))
    if what is not None:
        message = capsys.readouterr().err
        assert "labels with different settings meet" in message
        assert what in message
        assert str(folder / two) in message
    assert set(records["file"]) == {str(folder / one), str(folder / two)}


def test_an_import_remembers_its_settings(shared_data, labelled, tmp_path, capsys):
    run(tmp_path, shared_data / "vasp/ok/vasprun.Al.xml.gz")
    (tmp_path / "labelled.extxyz").rename(tmp_path / "vasp.extxyz")
    frames = read_frames(tmp_path / "vasp.extxyz")
    assert set(frames.meta["fidelity"]) == {"vasp"}
    assert frames.meta["source_index"].tolist() in ([0, 1], [1, 0])
    write_frames(tmp_path / "own.extxyz", labelled)
    files = (tmp_path / "vasp.extxyz", tmp_path / "own.extxyz")
    assert run(tmp_path, *files, options=["--force"])[0] == 1
    assert "different settings meet" in capsys.readouterr().err
    assert run(tmp_path, files[0], options=["--force"])[0] == 0
