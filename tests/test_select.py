"""Selection in rounds on the grid: exact small sets, and what holds for any set."""

import time
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from conftest import points_table
from polymorphkd.errors import StageError
from polymorphkd.landscape.grid import bounding_box, cells, occupied
from polymorphkd.select import run_rounds, select_rounds
from polymorphkd.select.cells import by_count, first_of_each, occupied_cells
from polymorphkd.settings import Choice, Round, Select
from pydantic import ValidationError

COARSE_AND_FINE = Select(
    standard={"resolution": [3, 0.06]}, supplementary=[{"resolution": [0.5, 0.01]}, {"count": 300}]
)


def ids(points: pd.DataFrame, selection, name: str) -> list[str]:
    return points["frame_id"].iloc[selection.of(name)].tolist()


def resolutions(*steps: tuple[float, float], name: str = "all") -> list[tuple[str, Round]]:
    return [(name, Round(resolution=step)) for step in steps]


def index_of(points: pd.DataFrame, step: tuple[float, float]) -> np.ndarray:
    return np.floor(points[["sS", "Q6"]].to_numpy() / step).astype(int)


def test_a_small_set_by_hand():
    """Cells of 1 x 0.1: rows are two frames in one cell, one alone, two on equal terms."""
    xy = np.array([[-0.9, 0.01], [-0.45, 0.06], [-2.5, 0.35], [-4.4, 0.55], [-4.6, 0.55]])
    found = run_rounds(points_table(xy), resolutions((1, 0.1), (1, 0.1)), Choice())
    assert found.rounds.tolist() == [2, 1, 1, 1, 2]
    third = run_rounds(points_table(xy), resolutions((1, 0.1), (0.1, 0.01)), Choice())
    assert third.rounds.tolist() == [2, 1, 1, 1, 2]
    coarse = run_rounds(points_table(xy), resolutions((10, 1)), Choice())
    assert coarse.rounds.tolist() == [0, 0, 0, 0, 1]  # nearest to (-5, 0.5)


def test_graphite_like_resolutions_take_what_the_cells_say():
    """0.1 x 0.005, then 0.02 x 0.001: a cluster in one coarse cell is thinned in the fine one."""
    cluster = [[-9.05, 0.4025], [-9.049, 0.4025], [-9.09, 0.4001], [-9.01, 0.4049]]
    xy = np.array([*cluster, [-8.85, 0.4025], [-9.05, 0.4125]])
    found = run_rounds(points_table(xy), resolutions((0.1, 0.005), (0.02, 0.001)), Choice())
    assert found.rounds.tolist() == [1, 2, 2, 2, 1, 1]
    assert [entry["count"] for entry in found.report["rounds"]] == [3, 3]


def test_every_round_fills_its_cells_once_with_frames_not_taken_before(cloud):
    found = select_rounds(cloud, COARSE_AND_FINE, 1, "Al")
    for number, step in ((1, (3, 0.06)), (2, (0.5, 0.01))):
        free = (found.rounds == 0) | (found.rounds >= number)
        index = index_of(cloud, step)
        picked = index[found.rounds == number]
        assert len(picked) == occupied(picked) == occupied(index[free])
    assert 250 <= (found.rounds == 3).sum() <= 300
    standard, supplementary = found.of("standard"), found.of("supplementary")
    assert not set(standard) & set(supplementary)
    assert sorted([*standard, *supplementary]) == np.flatnonzero(found.rounds).tolist()


def test_rounds_by_count_come_close_from_below_and_go_from_coarse_to_fine(cloud):
    sizes = [{"count": n} for n in (50, 100, 400)]
    found = select_rounds(cloud, Select(standard=sizes, supplementary={"count": 1500}), 1, "Al")
    entries = found.report["rounds"]
    for entry, wanted in zip(entries, (50, 100, 400, 1500), strict=True):
        assert 0.85 * wanted <= entry["count"] <= wanted
        assert entry["asked"] == {"count": wanted}
    steps = [entry["step"]["sS"] for entry in entries]
    assert steps == sorted(steps, reverse=True)


def test_coverage_before_and_after_each_round(cloud):
    report = select_rounds(cloud, COARSE_AND_FINE, 1, "Al").report
    so_far = [entry["so_far"] for entry in report["rounds"]]
    assert [numbers["points"] for numbers in so_far] == np.cumsum(
        [entry["count"] for entry in report["rounds"]]
    ).tolist()
    for before, after in pairwise(so_far):
        assert after["occupied"] >= before["occupied"]
        assert after["covering_radius"] <= before["covering_radius"]
    assert so_far[-1]["occupied"] <= report["library"]["occupied"]
    assert so_far[0]["uniformity"] > report["library"]["uniformity"]
    assert report["sets"]["standard"] == so_far[0]
    # The nearest chosen frame is never farther than the diagonal of a cell of the first round.
    box = report["box"]
    steps = [3 / np.ptp(box["sS"]), 0.06 / np.ptp(box["Q6"])]
    assert so_far[0]["covering_radius"] <= np.linalg.norm(steps)


@pytest.mark.parametrize("method", ["grid", "random", "farthest-point", "direct"])
@pytest.mark.parametrize("representative", ["centre", "random"])
def test_order_of_the_library_changes_nothing(cloud, method, representative):
    if representative == "random" and method in ("random", "farthest-point"):
        return
    settings = Select(
        method=method, representative=representative,
        standard={"count": 40}, supplementary={"count": 90},
    )  # fmt: skip
    shuffled = cloud.sample(frac=1, random_state=1)
    a, b = (select_rounds(points, settings, 1, "Al") for points in (cloud, shuffled))
    for name in ("standard", "supplementary"):
        assert ids(cloud, a, name) == ids(shuffled, b, name)
    assert a.report == b.report


def test_a_frame_that_is_listed_twice_is_taken_once(cloud):
    twice = pd.concat([cloud, cloud.iloc[:100]], ignore_index=True)
    found = select_rounds(twice, COARSE_AND_FINE, 1, "Al")
    assert ids(twice, found, "standard") == ids(
        cloud, select_rounds(cloud, COARSE_AND_FINE, 1, "Al"), "standard"
    )
    assert twice["frame_id"].iloc[np.flatnonzero(found.rounds)].is_unique
    assert found.report["left_out"] == {"without_sS": 0, "listed_twice": 100}


def test_points_without_sS_are_left_out_and_counted(cloud):
    holed = cloud.copy()
    holed.loc[[5, 17, 3999], "sS"] = [np.nan, -np.inf, np.nan]
    found = select_rounds(holed, COARSE_AND_FINE, 1, "Al")
    rest = cloud.drop([5, 17, 3999])
    expected = select_rounds(rest, COARSE_AND_FINE, 1, "Al")
    for name in ("standard", "supplementary"):
        assert ids(holed, found, name) == ids(rest, expected, name)
    assert found.report["left_out"] == {"without_sS": 3, "listed_twice": 0}
    assert found.report["library"]["points"] == 3997
    with pytest.raises(StageError, match=r"none of 4000 frames has sS.*not periodic"):
        select_rounds(cloud.assign(sS=np.nan, note="not periodic"), COARSE_AND_FINE, 1, "Al")


def test_representatives_by_centre_lowest_and_random():
    """One cell of 1 x 1: the first is nearest to the centre, the third is lowest."""
    xy = np.array([[-0.5, 0.5], [-0.2, 0.2], [-0.9, 0.9], [-0.9, 0.8]])
    points = points_table(xy, energy_per_atom=[-1.0, np.nan, -3.0, -2.0], strain=[4, 1, 2, 3])
    one = resolutions((1, 1))

    def chosen(**choice) -> int:
        return int(np.flatnonzero(run_rounds(points, one, Choice(**choice)).rounds)[0])

    assert chosen() == 0
    assert chosen(representative="lowest") == 2
    assert chosen(representative="lowest", lowest_of="strain") == 1
    drawn = [
        int(run_rounds(points, one, Choice(representative="random"), seed).rows[0])
        for seed in range(60)
    ]
    assert set(drawn) == {0, 1, 2, 3}
    assert chosen(representative="random") == chosen(representative="random")


def test_lowest_takes_frames_without_energy_only_where_there_is_no_other():
    xy = np.array([[-0.5, 0.5], [-0.1, 0.1], [-1.5, 0.5]])
    points = points_table(xy, energy_per_atom=[np.nan, -1.0, np.nan])
    found = run_rounds(points, resolutions((1, 1)), Choice(representative="lowest"))
    assert found.rounds.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("change", "choice", "message"),
    [
        ({}, {"representative": "lowest"}, "lowest_of: 'energy_per_atom' is no column.*sS, Q6"),
        ({}, {"representative": "lowest", "lowest_of": "note"}, "'note' is no column of numbers"),
        ({"energy_per_atom": np.nan}, {"representative": "lowest"}, "no frame .* has energy_per"),
        ({"volume_per_atom": None}, {"method": "direct"}, "direct needs .* volume_per_atom"),
        ({"settings_digest": list("ab") * 2000}, {}, "different settings"),
    ],
)
def test_what_points_cannot_give_is_an_error(cloud, change, choice, message):
    points = cloud.assign(**change).dropna(axis=1, how="all")
    if "energy_per_atom" in change:
        points = points.assign(**change)
    with pytest.raises(StageError, match=message):
        run_rounds(points, resolutions((3, 0.06)), Choice(**choice))


def test_steps_too_small_to_count_are_an_error(cloud):
    with pytest.raises(StageError, match="resolution 1e-12 x 0.1.*larger steps"):
        run_rounds(cloud, resolutions((1e-12, 0.1)), Choice())


def test_a_small_library_is_taken_whole_and_then_none_is_left(cloud):
    few = cloud.iloc[:40]
    with pytest.raises(StageError, match=r"select.supplementary: no frame is left.*round 2"):
        select_rounds(few, Select(), 1, "Al")
    whole = run_rounds(few, [("all", Round(count=40))], Choice())
    assert (whole.rounds == 1).all()
    assert whole.report["rounds"][0]["step"] is None
    assert whole.report["rounds"][0]["so_far"]["covering_radius"] == 0


def test_a_single_round_needs_no_list_and_coarse_comes_first():
    assert Select(standard={"count": 7}).standard == [Round(count=7)]
    with pytest.raises(ValidationError, match=r"0.2 x 0.005 comes after 0.1 x 0.005"):
        Select(standard={"resolution": [0.1, 0.005]}, supplementary={"resolution": [0.2, 0.005]})
    # The published list of resolutions: one step grows, but the cells get smaller.
    steps = [(0.2, 0.006), (0.1, 0.005), (0.05, 0.0025), (0.04, 0.0024), (0.02, 0.0022),
             (0.025, 0.0002), (0.001, 0.0001)]  # fmt: skip
    Select(standard=[{"resolution": steps[0]}],
           supplementary=[{"resolution": step} for step in steps[1:]])  # fmt: skip
    with pytest.raises(ValidationError, match="lowest has no meaning with method: random"):
        Select(method="random", representative="lowest")


@pytest.mark.parametrize("n", [1, 2, 7, 60, 5000, 3_000_000])
def test_cells_are_counted_as_numpy_counts_them(cloud, n):
    xy = cloud[["sS", "Q6"]].to_numpy()
    box = bounding_box(xy)
    expected = occupied(cells(xy, box, n))
    scaled = np.ascontiguousarray(box.scaled(xy))
    assert occupied_cells(scaled, n, 10**6) == expected
    assert occupied_cells(scaled, n, expected - 1) == expected
    assert occupied_cells(scaled, n, expected // 3) == expected // 3 + 1


@pytest.mark.parametrize("count", [1, 3, 50, 333, 2000, 3990])
def test_the_grid_by_count_is_the_fullest_of_all_that_fit(cloud, count):
    """Against a plain search over every n; dips beyond the tried ones may cost a little."""
    xy = cloud[["sS", "Q6"]].to_numpy()
    box = bounding_box(xy)
    cell, _, step = by_count(xy, box, count)
    found = len(np.unique(cell))
    assert found <= count
    n = round(float(box.size[0] / step[0]))
    others = [occupied(cells(xy, box, k)) for k in range(1, n + 200)]
    assert found >= 0.97 * max(size for size in others if size <= count)


def test_points_that_coincide_are_no_reason_to_search_forever():
    xy = np.repeat([[-3.0, 0.2], [-1.0, 0.5]], 50, axis=0)
    found = run_rounds(points_table(xy), [("all", Round(count=10))], Choice())
    assert (found.rounds == 1).sum() == 2


def test_first_of_each_group():
    group = np.array([7, 3, 7, 3, 7])
    a, b = np.array([1.0, 5, 1, np.nan, 2]), np.array([9.0, 0, 8, 0, 0])
    assert first_of_each(group, a).tolist() == [0, 1]
    assert first_of_each(group, a, b).tolist() == [1, 2]


@pytest.mark.slow
def test_a_million_points_take_seconds():
    random = np.random.default_rng(1)
    xy = np.column_stack([-30 * random.random(10**6) ** 2, 0.6 * random.random(10**6) ** 2])
    points = points_table(xy).sample(frac=1, random_state=2)
    select_rounds(points.iloc[:1000], Select(standard={"count": 9}), 1, "Al")  # compiled
    for settings in (
        Select(standard={"count": 1000}, supplementary={"count": 20000}),
        Select(standard={"resolution": [0.1, 0.005]},
               supplementary={"resolution": [0.01, 0.0005]}),
        Select(method="farthest-point", standard={"count": 500}),
    ):  # fmt: skip
        started = time.process_time()
        found = select_rounds(points, settings, 1, "Al")
        assert time.process_time() - started < 30  # about 4 s each
        assert len(np.unique(found.rows)) == len(found.rows) > 1000
