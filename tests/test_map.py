"""`polymorphkd map`: files in, one table of landscape points out."""

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from ase.io import write
from polymorphkd import cli
from polymorphkd.frames import Frames, write_frames
from polymorphkd.landscape import per_atom, points
from polymorphkd.landscape.tables import read_points
from polymorphkd.map_files import map_files
from polymorphkd.settings import Landscape

SETTINGS = Landscape(cutoff=3.4)


def test_a_file_maps_as_its_frames(aluminium: Frames, tmp_path):
    write_frames(tmp_path / "al.extxyz", aluminium)
    assert cli.main(["map", str(tmp_path / "al.extxyz"), "-o", str(tmp_path / "p.parquet"),
                     "--cutoff", "3.4"]) == 0  # fmt: skip
    table, expected = read_points(tmp_path / "p.parquet"), points(aluminium, SETTINGS)
    assert table["frame_id"].tolist() == expected["frame_id"].tolist()
    np.testing.assert_array_equal(table["sS"], expected["sS"])
    np.testing.assert_array_equal(table["Q6"], expected["Q6"])
    assert table["source_index"].tolist() == list(range(len(aluminium)))
    assert set(table["formula"]) == {"Al2", "Al4", "Al8"}


def test_threads_and_chunks_change_nothing(aluminium: Frames, tmp_path):
    write_frames(tmp_path / "a.parquet", aluminium)
    write_frames(tmp_path / "b.extxyz", aluminium)
    tables = []
    for n in (1, 3):
        output = tmp_path / f"{n}.csv"
        map_files([tmp_path / "*.parquet", tmp_path / "b.extxyz"], output, SETTINGS, n_threads=n)
        tables.append(read_points(output))
    pd.testing.assert_frame_equal(*tables)
    assert len(tables[0]) == 2 * len(aluminium)
    assert tables[0]["source"].nunique() == 2


def test_a_broken_frame_is_named_and_the_rest_goes_on(tmp_path, capsys):
    path = tmp_path / "broken.extxyz"
    write(path, [bulk("Cu", cubic=True) for _ in range(4)])
    lines = path.read_text().splitlines()
    lines[8] = lines[8].replace(lines[8].split()[1], "much")  # first atom of frame 1
    path.write_text("\n".join(lines) + "\n")
    assert cli.main(["map", str(path), "-o", str(tmp_path / "p.csv"), "--cutoff", "3"]) == 0
    assert "frame 1" in capsys.readouterr().err
    assert read_points(tmp_path / "p.csv")["source_index"].tolist() == [0, 2, 3]


def test_auto_cutoff_comes_from_the_files(tmp_path):
    write(tmp_path / "cu.extxyz", bulk("Cu", cubic=True) * (2, 2, 2))
    done = map_files([tmp_path / "cu.extxyz"], tmp_path / "p.csv", Landscape())
    assert 3.61 / 2**0.5 < done.cutoff < 3.61


def test_energies_and_kept_metadata_become_columns(tmp_path):
    atoms = bulk("Cu", cubic=True)
    atoms.info.update(REF_energy=-8.0, group="bulk")
    write(tmp_path / "cu.extxyz", atoms)
    map_files([tmp_path / "cu.extxyz"], tmp_path / "p.csv", SETTINGS, keep=["group", "phase"])
    table = read_points(tmp_path / "p.csv")
    assert table["energy_per_atom"].tolist() == [-2.0]
    assert table["group"].tolist() == ["bulk"]
    assert table["phase"].isna().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--definition", "published-code", "--q6", "global"], "published-code has one Q6"),
        (["--sigma", "-1"], "--sigma: "),
        (["--species", "Xx"], "'Xx' is not a chemical symbol"),
        (["--output", "p.txt"], "is .parquet or .csv"),
        (["--per-atom", "a.txt"], "is .parquet or .csv"),
        (["--per-atom", "p.csv"], "is the table of frames already"),
        (["--per-atom", "a.csv", "--species", "Cu"], "--per-atom needs"),
        (["--output", "absent/p.csv"], "there is no folder"),
    ],
)
def test_wrong_calls_get_one_message_and_write_nothing(
    options, message, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write("cu.extxyz", bulk("Cu", cubic=True))
    assert cli.main(["map", "cu.extxyz", "-o", "p.csv", "--cutoff", "3", *options]) == 1
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["cu.extxyz"]


def test_an_existing_table_is_kept_unless_forced(tmp_path, capsys):
    write(tmp_path / "cu.extxyz", bulk("Cu", cubic=True))
    call = ["map", str(tmp_path / "cu.extxyz"), "-o", str(tmp_path / "p.csv"), "--cutoff", "3"]
    assert cli.main(call) == 0
    assert cli.main(call) == 1
    assert "--force" in capsys.readouterr().err
    assert cli.main([*call, "--force"]) == 0


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_atoms_get_a_table_of_their_own(suffix, aluminium: Frames, tmp_path):
    write_frames(tmp_path / "al.extxyz", aluminium)
    atoms = tmp_path / f"atoms{suffix}"
    assert cli.main(["map", str(tmp_path / "al.extxyz"), "-o", str(tmp_path / "p.parquet"),
                     "--cutoff", "3.4", "--per-atom", str(atoms)]) == 0  # fmt: skip
    table = pd.read_parquet(atoms) if suffix == ".parquet" else pd.read_csv(atoms)
    frames = read_points(tmp_path / "p.parquet")
    assert set(table["settings_digest"]) == set(frames["settings_digest"])
    assert table["frame_id"].tolist() == np.repeat(frames["frame_id"], frames["n_atoms"]).tolist()
    assert set(table["element"]) == {"Al"}
    for i, frame_id in enumerate(aluminium.frame_ids()):
        here = table[table["frame_id"] == frame_id].reset_index(drop=True)
        assert here["atom"].tolist() == list(range(len(here)))
        expected = per_atom(aluminium.atoms(i), SETTINGS)
        pd.testing.assert_frame_equal(here[expected.columns.tolist()], expected, rtol=1e-13)


def test_atoms_of_slabs_and_clusters_have_no_entropy_without_a_density(tmp_path):
    cluster, crystal = bulk("Cu", cubic=True) * (2, 2, 2), bulk("Cu", cubic=True)
    cluster.pbc = False
    write(tmp_path / "cu.extxyz", [cluster, crystal])
    for density in (None, 0.08):
        settings, path = Landscape(nearest=12, density=density), tmp_path / f"{density}.parquet"
        map_files(
            [tmp_path / "cu.extxyz"], tmp_path / "p.csv", settings, force=True, per_atom=path
        )
        table = pd.read_parquet(path)
        assert table["sS"].isna().sum() == (0 if density else len(cluster))
        assert (table["n_neighbours"] == 12).all()


def test_published_numbers_are_reproduced(shared_data, tmp_path):
    map_files(
        [shared_data / "si216_melting.extxyz"], tmp_path / "p.parquet",
        Landscape(definition="published-code", cutoff=4.8),
        keep=["published_sS", "published_q6"], n_threads=2,
    )  # fmt: skip
    table = read_points(tmp_path / "p.parquet")
    assert len(table) == 376
    np.testing.assert_allclose(table["sS"], table["published_sS"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(table["Q6"], table["published_q6"], rtol=0, atol=1e-8)
