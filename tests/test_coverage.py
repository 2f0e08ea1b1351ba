"""Coverage of the landscape: known areas and cells, degenerate sets, two sets compared."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from polymorphkd.coverage import coverage_report
from polymorphkd.errors import InputError, StageError
from polymorphkd.landscape.coverage import Hull, compare, measure
from polymorphkd.landscape.grid import (
    Box,
    bounding_box,
    cells_by_resolution,
    coverage,
    evenly,
    grid_by_resolution,
    grid_over,
    occupied,
)
from polymorphkd.landscape.tables import PointSet, read_points, read_sets
from scipy.spatial import Delaunay

ROOT = Path(__file__).resolve().parents[1]
UNIT = Box((-10.0, 0.0), (0.0, 1.0))


def table(xy, digest: str = "d1") -> pd.DataFrame:
    """Landscape points at given coordinates."""
    xy = np.asarray(xy, dtype=float)
    return pd.DataFrame(
        {
            "frame_id": [f"f{i:016x}" for i in range(len(xy))],
            "sS": xy[:, 0],
            "Q6": xy[:, 1],
            "note": "",
            "settings_digest": digest,
        }
    )


def point_set(name: str, xy) -> PointSet:
    return PointSet(name, Path(f"{name}.parquet"), table(xy), 0)


def centres(index, n: int) -> np.ndarray:
    """Centres of the cells with these indices on an n x n grid over UNIT."""
    return UNIT.low + (np.asarray(index) + 0.5) / n * UNIT.size


# hull


def test_hull_areas_are_those_of_known_shapes():
    corners = np.array([[-10, 0], [-2, 0], [-10, 0.5], [-2, 0.5]])
    inner = np.random.default_rng(0).uniform([-10, 0], [-2, 0.5], (50, 2))
    assert Hull(np.vstack([corners, inner])).area == pytest.approx(8 * 0.5)
    assert Hull(corners[:3]).area == pytest.approx(8 * 0.5 / 2)


@pytest.mark.parametrize(
    "xy",
    [
        [[-5, 0.3]],
        [[-5, 0.3]] * 4,
        [[-5, 0.3], [-4, 0.5]],
        [[-9, 0.3], [-5, 0.3], [-1, 0.3]],
        [[-5, 0.1], [-5, 0.3], [-5, 0.6]],
        [[-9.3 + 0.7 * i, 0.1 + 0.05 * i] for i in range(9)],
    ],
)
def test_sets_without_area_have_numbers_all_the_same(xy):
    for options in ({"n": 7}, {"resolution": (0.3, 0.01)}):
        report = coverage_report([point_set("a", xy), point_set("b", xy)], **options)
        numbers = report["sets"][0]
        assert numbers["hull_area"] == numbers["hull_share_of_box"] == 0
        assert numbers["gap_cells"] == 0
        assert numbers["largest_gap"] is None
        assert numbers["cells_in_hull"] == numbers["occupied"]
        assert report["pairs"][0]["jaccard"] == 1
        json.dumps(report, allow_nan=False)


def test_nodes_in_the_hull_are_those_that_a_triangulation_finds():
    rng = np.random.default_rng(3)
    for _ in range(5):
        xy = rng.normal([-8, 0.4], [3, 0.05], (30, 2))
        sS, Q6 = np.linspace(-18, 2, 41), np.linspace(0.2, 0.6, 37)
        nodes = np.stack(np.meshgrid(sS, Q6, indexing="ij"), axis=-1)
        scale = [1, 60]  # the oracle wants comparable axes
        expected = Delaunay(xy * scale).find_simplex(nodes * scale) >= 0
        assert np.array_equal(Hull(xy).contains(sS, Q6), expected)
        assert expected.any()


# one set


def test_evenness_is_told_for_occupied_cells_and_for_the_hull():
    # A frame of 5 x 5 cells around nothing: 16 occupied, 9 empty, all with one point.
    index = [(i, j) for i in range(5) for j in range(5) if {i, j} & {0, 4}]
    numbers = measure(centres(index, 5), grid_over(UNIT, 5))
    assert (numbers["occupied"], numbers["cells"], numbers["fraction"]) == (16, 25, 16 / 25)
    assert numbers["uniformity"] == pytest.approx(1)
    assert numbers["uniformity_in_hull"] == pytest.approx(np.log(16) / np.log(25))
    assert (numbers["gap_cells"], numbers["cells_in_hull"]) == (9, 25)
    assert numbers["gap_share"] == pytest.approx(9 / 25)
    gap = numbers["largest_gap"]
    assert gap["cells"] == 9
    assert gap["area"] == pytest.approx(9 * 2 * 0.2)
    assert gap["centre"] == pytest.approx({"sS": -5.0, "Q6": 0.5})
    assert gap["box"]["sS"] == pytest.approx([-8, -2])
    assert gap["box"]["Q6"] == pytest.approx([0.2, 0.8])
    # Half of the points in one cell: p = 1/2 and sixteen times 1/32.
    uneven = measure(centres(index + [(0, 0)] * 15, 5), grid_over(UNIT, 5))
    entropy = -(16 / 31) * np.log(16 / 31) + (15 / 31) * np.log(31)
    assert uneven["uniformity"] == pytest.approx(entropy / np.log(16))


def test_largest_gap_is_one_region_and_its_centre_lies_in_it():
    filled = np.ones((12, 12), dtype=bool)
    filled[2:4, 2:4] = False  # a square of 4
    filled[6:11, 3] = filled[6, 3:9] = False  # an angle of 10, whose centroid is filled
    filled[4, 4] = False  # touches the square with a corner only
    numbers = measure(centres(np.argwhere(filled), 12), grid_over(UNIT, 12))
    assert numbers["gap_cells"] == 15
    assert numbers["largest_gap"]["cells"] == 10
    centre = [[numbers["largest_gap"]["centre"][k] for k in ("sS", "Q6")]]
    i, j = grid_over(UNIT, 12).index(np.array(centre))[0]
    assert not filled[i, j]
    assert i == 6 or j == 3


def test_numbers_are_those_that_the_selection_reports():
    xy = np.random.default_rng(1).uniform([-30, 0], [0, 0.6], (300, 2))
    box = bounding_box(xy)
    old = coverage(xy, box, 20)
    numbers = measure(xy, grid_over(box, 20))
    assert {key: numbers[key] for key in old} == old
    assert list(old) == ["cells", "occupied", "fraction", "uniformity"]


def test_resolution_counts_the_cells_that_the_selection_uses():
    xy = np.random.default_rng(2).uniform([-30, 0], [0, 0.6], (500, 2))
    for resolution in ((0.7, 0.03), (2.0, 0.1), (50.0, 5.0)):
        grid = grid_by_resolution(bounding_box(xy), resolution)
        numbers = measure(xy, grid)
        assert numbers["occupied"] == occupied(cells_by_resolution(xy, resolution))
        assert grid.step == pytest.approx(resolution)
        assert np.allclose(grid.box.low / resolution, np.round(grid.box.low / resolution))
        assert numbers["cells"] >= numbers["occupied"]


def test_order_copies_and_whole_steps_change_nothing_they_should_not():
    rng = np.random.default_rng(4)
    xy = rng.uniform([-30, 0], [0, 0.6], (200, 2))
    report = coverage_report([point_set("a", xy)], (1.0, 0.05))["sets"][0]
    again = coverage_report([point_set("a", rng.permutation(xy))], (1.0, 0.05))["sets"][0]
    for key in report:
        same = again[key] == report[key]
        assert same or again[key] == pytest.approx(report[key], rel=1e-12), key
    twice = coverage_report([point_set("a", np.vstack([xy, xy]))], (1.0, 0.05))["sets"][0]
    for key in ("occupied", "hull_area", "gap_cells", "largest_gap"):
        assert twice[key] == report[key]
    assert twice["uniformity"] == pytest.approx(report["uniformity"])
    moved = coverage_report([point_set("a", xy + np.array([-4.0, 0.1]))], (1.0, 0.05))["sets"][0]
    assert moved["occupied"] == report["occupied"]
    assert moved["hull_area"] == pytest.approx(report["hull_area"])


# two sets


def test_two_sets_are_compared_on_one_grid():
    grid = grid_over(UNIT, 4)
    a = centres([(0, 0), (1, 1), (2, 2), (2, 2)], 4)
    b = centres([(2, 2), (3, 3)], 4)
    numbers = compare(a, b, grid)
    assert (numbers["only_a"], numbers["only_b"], numbers["both"]) == (2, 1, 1)
    assert numbers["jaccard"] == pytest.approx(1 / 4)
    assert numbers["a_covered_by_b"] == pytest.approx(1 / 3)
    assert numbers["b_covered_by_a"] == pytest.approx(1 / 2)
    report = coverage_report([point_set(n, x) for n, x in (("a", a), ("b", b), ("c", a))], n=4)
    assert [(p["a"], p["b"]) for p in report["pairs"]] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert report["pairs"][1]["jaccard"] == 1
    # The hull of b is flat, yet shares of the common box keep their meaning.
    assert report["sets"][0]["cells"] == report["sets"][1]["cells"] == 16


def test_points_outside_a_given_box_are_counted_and_left_out():
    xy = [[-9, 0.1], [-5, 0.5], [-1, 0.9]]
    report = coverage_report([point_set("a", xy)], n=4, box=(-6, 0, 0, 1))
    assert report["sets"][0]["points"] == 2
    assert report["sets"][0]["outside_box"] == 1
    assert report["grid"]["box"] == {"sS": [-6, 0], "Q6": [0, 1]}
    with pytest.raises(InputError, match=r"a\.parquet: none of its 3 points is in the box"):
        coverage_report([point_set("a", xy)], n=4, box=(-20, -10, 0, 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "--grid 0: allowed is 1 to"),
        ({"n": 10**6}, "--grid 1000000: allowed is 1 to"),
        ({"resolution": (0.0, 0.1)}, "both steps must be above 0"),
        ({"resolution": (float("nan"), 0.1)}, "both steps must be above 0"),
        ({"resolution": (1e-6, 1e-6)}, "give larger steps"),
        ({"box": (0, -5, 0, 1)}, "a box is SS0 SS1 Q0 Q1"),
        ({"box": (-5, 0, 0, float("inf"))}, "a box is SS0 SS1 Q0 Q1"),
    ],
)
def test_impossible_grids_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        coverage_report([point_set("a", [[-9, 0.1], [-1, 0.5]])], **options)


# picking points evenly


def test_even_choice_takes_from_every_cell_before_it_takes_twice():
    rng = np.random.default_rng(5)
    crowd = rng.normal([-2, 0.05], [0.02, 0.001], (5000, 2))
    sparse = rng.uniform([-30, 0], [0, 0.6], (60, 2))
    xy = np.vstack([crowd, sparse])
    box = bounding_box(xy)
    chosen = evenly(xy, box, 100)
    assert len(chosen) == len(set(chosen.tolist())) == 100
    assert occupied(grid_over(box, 10).index(xy[chosen])) == occupied(grid_over(box, 10).index(xy))
    assert np.array_equal(chosen, evenly(xy, box, 100))
    assert len(evenly(xy, box, 10**6)) == len(xy)
    assert [len(evenly(xy, box, n)) for n in (0, 1, 2, 37)] == [0, 1, 2, 37]


# files


def test_tables_are_read_with_their_missing_points_counted(tmp_path):
    points = table([[-9, 0.1], [np.nan, 0.2], [-1, 0.5]], digest="12e4567")
    points.to_parquet(tmp_path / "a.parquet")
    points.to_csv(tmp_path / "a.csv", index=False)
    for name in ("a.parquet", "a.csv"):
        (found,) = read_sets([tmp_path / name])
        assert (found.name, len(found.points), found.n_missing) == ("a", 2, 1)
        assert found.points["settings_digest"].tolist() == ["12e4567"] * 2
    names = [s.name for s in read_sets([tmp_path / "a.csv"] * 2)]
    assert names == [f"{tmp_path.name}/a (1)", f"{tmp_path.name}/a (2)"]


def test_points_of_different_settings_are_refused(tmp_path):
    table([[-9, 0.1]]).to_parquet(tmp_path / "a.parquet")
    table([[-9, 0.1]], digest="d2").to_parquet(tmp_path / "b.parquet")
    with pytest.raises(StageError, match="made with different settings"):
        read_sets([tmp_path / "a.parquet", tmp_path / "b.parquet"])


def test_files_that_are_no_tables_of_points_are_refused(tmp_path):
    pd.DataFrame({"x": [1]}).to_csv(tmp_path / "other.csv", index=False)
    table([[np.nan, 0.1]]).to_parquet(tmp_path / "open.parquet")
    table([[-9, 0.1]]).assign(sS="low").to_csv(tmp_path / "text.csv", index=False)
    (tmp_path / "junk.parquet").write_text("no parquet")
    (tmp_path / "empty.csv").write_text("")
    for name, message in (
        ("absent.csv", "no such file"),
        ("other.csv", "no column frame_id, sS, Q6, settings_digest"),
        ("text.csv", "column sS holds text"),
        ("junk.parquet", "cannot be read as a table"),
        ("empty.csv", "cannot be read as a table"),
    ):
        with pytest.raises(InputError, match=message):
            read_points(tmp_path / name)
    (tmp_path / "a.xyz").write_text("1\n\nAl 0 0 0\n")
    with pytest.raises(InputError, match=r"a table of points is \.parquet or \.csv"):
        read_points(tmp_path / "a.xyz")
    with pytest.raises(InputError, match="none of its 1 points has sS"):
        read_sets([tmp_path / "open.parquet"])
    with pytest.raises(InputError, match="--labels: 2 given for 1 files"):
        read_sets([tmp_path / "open.parquet"], ["a", "b"])


# command line


def test_command_prints_the_numbers_and_writes_them(tmp_path):
    rng = np.random.default_rng(6)
    for name, n in (("a", 80), ("b", 50)):
        xy = rng.uniform([-20, 0], [-1, 0.6], (n, 2))
        table(xy).to_parquet(tmp_path / f"{name}.parquet")
    command = [
        *(sys.executable, "-m", "polymorphkd.cli", "coverage", "a.parquet", "b.parquet"),
        *("--resolution", "2", "0.1", "--box", "-15.5", "0", "0", "1", "--json", "out.json"),
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "COLUMNS": "140"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads((tmp_path / "out.json").read_text())
    sets = read_sets([tmp_path / "a.parquet", tmp_path / "b.parquet"])
    expected = coverage_report(sets, (2, 0.1), box=(-15.5, 0, 0, 1))
    for entry in report["sets"] + expected["sets"]:
        entry.pop("file")
    assert report == expected
    for text in ("cells occupied", "uniformity", "hull area", "largest gap", "Jaccard"):
        assert text in done.stdout
    assert f"{report['pairs'][0]['jaccard']:.3f}" in done.stdout
    assert f"{report['sets'][0]['outside_box']}" in done.stdout
    assert report["sets"][0]["outside_box"] > 0
    command[command.index("2")] = "-1"
    refused = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
    )  # fmt: skip
    assert refused.returncode == 1
    assert refused.stderr.startswith("ERROR: --resolution -1 0.1: both steps must be above 0")
