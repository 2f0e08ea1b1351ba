"""`polymorphkd select`: tables or structures in, the chosen ones out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from polymorphkd import cli
from polymorphkd.config import validate
from polymorphkd.errors import ConfigError, InputError
from polymorphkd.frames import Frames, concatenate, write_frames
from polymorphkd.landscape import points
from polymorphkd.landscape.tables import read_points
from polymorphkd.preflight import preflight
from polymorphkd.provenance import read_json
from polymorphkd.readers import read_frames
from polymorphkd.select import run_rounds
from polymorphkd.select_files import library_column, with_library
from polymorphkd.settings import Choice, Landscape, Round

CUTOFF = ["--cutoff", "3.4"]
ROUNDS = ["--resolution", "4", "0.1", "--count", "4"]


@pytest.fixture
def library(aluminium: Frames, tmp_path, monkeypatch) -> Frames:
    """Two files of structures, the second one with energies, and their table of points."""
    monkeypatch.chdir(tmp_path)
    first, second = aluminium.take(range(7)), aluminium.take(range(7, 12))
    second.energy = -3.0 * second.n_atoms - np.arange(5)
    second.meta = second.meta.assign(strain=np.arange(5.0))
    (tmp_path / "data").mkdir()
    write_frames(tmp_path / "data/a.extxyz", first)
    write_frames(tmp_path / "data/b.parquet", second)
    assert cli.main(["map", "data/a.extxyz", "data/b.parquet", "-o", "p.csv", *CUTOFF]) == 0
    return concatenate([first, second])


def expected(library: Frames, **choice) -> tuple[pd.DataFrame, np.ndarray]:
    """Points of the library and the round that should choose each."""
    table = points(library, Landscape(cutoff=3.4))
    rounds = [("all", Round(resolution=(4, 0.1))), ("all", Round(count=4))]
    return table, run_rounds(table.assign(**choice), rounds, Choice()).rounds


def test_structures_in_structures_out_with_their_round(library, capsys):
    assert cli.main(["select", "data/a.extxyz", "data/b.parquet", "-o", "out.extxyz",
                     "--json", "c.json", *CUTOFF, *ROUNDS]) == 0  # fmt: skip
    table, rounds = expected(library)
    found = read_frames("out.extxyz")
    assert found.frame_ids() == sorted(table["frame_id"][rounds > 0])
    assert dict(zip(found.frame_ids(), found.meta["round"], strict=True)) == {
        name: k for name, k in zip(table["frame_id"], rounds, strict=True) if k
    }
    assert np.isfinite(found.energy).any()  # labels stay
    report = read_json("c.json")
    assert [entry["asked"] for entry in report["rounds"]] == [
        {"resolution": [4.0, 0.1]}, {"count": 4},
    ]  # fmt: skip
    assert report["library"]["points"] == 12
    printed = capsys.readouterr().out
    assert "grid; 20 x 20 cells" in printed
    assert f"{len(found)} frames -> out.extxyz" in printed


def test_a_table_gives_the_same_choice_as_points_or_as_structures(library):
    table, rounds = expected(library)
    assert cli.main(["select", "p.csv", "-o", "out.csv", *ROUNDS]) == 0
    chosen = read_points("out.csv")
    assert chosen["frame_id"].tolist() == sorted(table["frame_id"][rounds > 0])
    assert chosen["round"].tolist() == [
        int(rounds[table["frame_id"] == name][0]) for name in chosen["frame_id"]
    ]
    assert cli.main(["select", "p.csv", "-o", "1.extxyz", "2.parquet", *ROUNDS]) == 0
    assert read_frames("1.extxyz").frame_ids() == sorted(table["frame_id"][rounds == 1])
    assert read_points("2.parquet")["frame_id"].tolist() == sorted(table["frame_id"][rounds == 2])


def test_sources_are_found_beside_the_table(library, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert cli.main(["select", "../p.csv", "-o", "out.extxyz", "--count", "3"]) == 0
    assert len(read_frames("out.extxyz")) <= 3


def test_lowest_compares_energies_or_a_column_that_is_named(library):
    # One cell holds all: the lowest energy per atom, and the least strain, win.
    energy = np.where(np.arange(12) < 7, np.nan, library.energy / library.n_atoms)
    call = ["select", "data/a.extxyz", "data/b.parquet", "--resolution", "99", "1", *CUTOFF]
    assert cli.main([*call, "-o", "e.extxyz", "--representative", "lowest"]) == 0
    ids = library.frame_ids()
    assert read_frames("e.extxyz").frame_ids() == [ids[int(np.nanargmin(energy))]]
    assert cli.main([*call, "-o", "s.extxyz", "--representative", "lowest",
                     "--lowest-of", "strain"]) == 0  # fmt: skip
    assert read_frames("s.extxyz").frame_ids() == [ids[7]]
    assert cli.main([*call, "-o", "d.extxyz", "--representative", "lowest",
                     "--lowest-of", "min_distance"]) == 0  # fmt: skip
    closest = points(library, Landscape(cutoff=3.4))["min_distance"].argmin()
    assert read_frames("d.extxyz").frame_ids() == [ids[closest]]


@pytest.mark.parametrize("method", ["random", "farthest-point", "direct"])
def test_every_method_and_its_seed(library, method):
    call = ["select", "p.csv", "--count", "4", "--method", method]
    assert cli.main([*call, "-o", "a.csv"]) == 0
    assert cli.main([*call, "-o", "b.csv", "--seed", "5"]) == 0
    a, b = read_points("a.csv"), read_points("b.csv")
    assert len(a) == len(b) <= 4
    assert (a["frame_id"].tolist() == b["frame_id"].tolist()) == (method != "random")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["p.csv", "-o", "o.csv"], "give --resolution DSS DQ6 or --count N"),
        (["p.csv", "-o", "o.csv", "--count", "0"], "--count: .*greater than or equal to 1"),
        (["p.csv", "-o", "o.csv", "--resolution", "-1", "1"], "--resolution.*greater than 0"),
        (
            ["p.csv", "-o", "o.csv", "--resolution", "1", "1", "--resolution", "2", "1"],
            "--resolution: .*coarse to fine",
        ),
        (
            ["p.csv", "-o", "o.csv", "--count", "3", "--method", "random",
             "--representative", "lowest"],
            "has no meaning with method: random",
        ),
        (["p.csv", "-o", "o.csv", "p.csv", "--count", "3"], "2 files for 1 rounds"),
        (["p.csv", "-o", "o.csv", "o.csv", *ROUNDS], "each round needs a file of its own"),
        (["p.csv", "-o", "o.txt", "--count", "3"], "allowed is .extxyz, .xyz, .parquet or .csv"),
        (["p.csv", "-o", "absent/o.csv", "--count", "3"], "there is no folder"),
        (["p.csv", "-o", "p.csv", "--count", "3", "--force"], "is the library"),
        (["p.csv", "-o", "there.csv", "--count", "3"], "give --force to overwrite"),
        (["p.csv", "data/a.extxyz", "-o", "o.csv", "--count", "3"], "cannot be mixed"),
        (["p.csv", "-o", "o.csv", "--count", "3", *CUTOFF], "options of the landscape are for"),
        (["bare.csv", "-o", "o.extxyz", "--count", "3"], "bare.csv: does not say in source"),
        (["gone.csv", "-o", "o.extxyz", "--count", "3"], "gone.csv: gone.xyz, .* is absent"),
        (["moved.csv", "-o", "o.extxyz", "--count", "12"], "is not the one that was mapped"),
        (["broken.parquet", "-o", "o.csv", "--count", "3"], "cannot be read as Parquet"),
        (["p.csv", "-o", "o.csv", *ROUNDS, "--count", "99", "--count", "1"], "no frame is left"),
        (
            ["data/a.extxyz", "-o", "o.csv", "--count", "3", "--representative", "lowest"],
            "no frame of the library has energy_per_atom",
        ),
    ],
)  # fmt: skip
def test_wrong_calls_get_one_message_and_write_nothing(library, arguments, message, capsys):
    table = read_points("p.csv")
    table.drop(columns="source").to_csv("bare.csv", index=False)
    table.assign(source="gone.xyz").to_csv("gone.csv", index=False)
    table.assign(source_index=table["source_index"].to_numpy()[::-1] % 5).to_csv(
        "moved.csv", index=False
    )
    for name in ("there.csv", "broken.parquet"):
        open(name, "w").close()
    assert cli.main(["select", *arguments]) == 1
    error = capsys.readouterr().err
    assert pd.Series(error.replace("\n", " ")).str.contains(message).all(), error
    assert not any(Path(f"o.{suffix}").exists() for suffix in ("csv", "extxyz"))


def test_points_of_a_library_get_the_column_that_lowest_compares(library):
    table = points(read_frames("data/b.parquet"), Landscape(cutoff=3.4))
    plain = with_library(table, "data/b.parquet", Choice())
    assert plain["source_index"].tolist() == [0, 1, 2, 3, 4]
    assert "energy_per_atom" not in plain
    lowest = with_library(table, "data/b.parquet", Choice(representative="lowest"))
    np.testing.assert_allclose(lowest["energy_per_atom"], (library.energy / library.n_atoms)[7:])
    assert np.isnan(library_column("data/a.extxyz", "energy_per_atom")).all()
    with pytest.raises(InputError, match=r"a.extxyz has no 'strain'; it has energy_per_atom"):
        library_column("data/a.extxyz", "strain")


def test_a_library_without_energies_is_refused_before_any_job(library):
    def checked(**inputs):
        values = {
            "material": "Al", "elements": ["Al"], "inputs": inputs,
            "select": {"representative": "lowest"}, "label": {"engine": "ase"},
        }  # fmt: skip
        preflight(validate(values, "Al.yaml"))

    for inputs in ({}, {"library": "data/a.extxyz"}):
        with pytest.raises(ConfigError, match=r"Al.yaml: select.representative: lowest: needs"):
            checked(**inputs)
    checked(library="data/b.parquet")
