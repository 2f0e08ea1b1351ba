"""Selection on grids, near-duplicates, and honest splits."""

import numpy as np
import pandas as pd
import pytest
from polymorphkd.errors import StageError
from polymorphkd.frames import Frames, concatenate
from polymorphkd.landscape import points
from polymorphkd.select import near, select_rounds, split_frames
from polymorphkd.select.rounds import representatives
from polymorphkd.select.split import groups
from polymorphkd.settings import Landscape, Select, Split


def table(xy: np.ndarray, volume=None) -> pd.DataFrame:
    n = len(xy)
    return pd.DataFrame(
        {
            "frame_id": [f"{i:05d}" for i in range(n)],
            "sS": xy[:, 0],
            "Q6": xy[:, 1],
            "volume_per_atom": np.full(n, 16.0) if volume is None else volume,
            "note": "",
            "settings_digest": "one",
        }
    )


@pytest.fixture
def cloud() -> pd.DataFrame:
    random = np.random.default_rng(3)
    return table(
        np.column_stack([-30 * random.random(4000) ** 2, 0.6 * random.random(4000)]),
        14 + 4 * random.random(4000),
    )


def test_one_representative_per_cell_nearest_to_its_centre():
    xy = np.array([[0.1, 0.1], [0.45, 0.55], [0.9, 0.9], [1.2, 0.5], [1.5, 0.5]])
    chosen = representatives(xy, np.floor(xy).astype(int), np.ones(2))
    assert chosen.tolist() == [1, 4]


def test_rounds_by_count_come_close_and_are_disjoint(cloud):
    settings = Select(standard={"count": 100}, supplementary={"count": 800})
    chosen, report = select_rounds(cloud, settings)
    assert 85 <= len(chosen["standard"]) <= 100
    assert 700 <= len(chosen["supplementary"]) <= 800
    assert not set(chosen["standard"]) & set(chosen["supplementary"])
    assert report["standard"]["uniformity"] > report["library"]["uniformity"]
    assert report["supplementary"]["step_sS"] < report["standard"]["step_sS"]


def test_rounds_by_resolution_fill_every_occupied_cell_once(cloud):
    settings = Select(
        standard={"resolution": [3, 0.06]}, supplementary={"resolution": [0.5, 0.01]}
    )
    chosen, _ = select_rounds(cloud, settings)
    index = np.floor(cloud[["sS", "Q6"]].to_numpy() / [3, 0.06]).astype(int)
    picked = index[chosen["standard"]]
    assert len(np.unique(picked, axis=0)) == len(picked) == len(np.unique(index, axis=0))


def test_a_small_library_is_taken_whole_and_then_none_is_left(cloud):
    few = cloud.iloc[:40]
    with pytest.raises(StageError, match=r"select.supplementary: no frame is left"):
        select_rounds(few, Select())


def test_selection_does_not_depend_on_the_order_of_the_library(cloud):
    shuffled = cloud.sample(frac=1, random_state=1).sort_values("frame_id")
    a, b = select_rounds(cloud, Select())[0], select_rounds(shuffled, Select())[0]
    for name in a:
        assert list(cloud["frame_id"].iloc[a[name]]) == list(shuffled["frame_id"].iloc[b[name]])


def test_frames_without_entropy_are_refused(cloud):
    cloud.loc[5, "sS"] = np.nan
    with pytest.raises(StageError, match="1 frames have no sS.*00005"):
        select_rounds(cloud, Select())


@pytest.fixture
def chosen(cloud) -> pd.DataFrame:
    return cloud.iloc[select_rounds(cloud, Select(standard={"count": 150}))[0]["standard"]]


def test_split_shares_and_coverage(chosen):
    settings = Split()
    names = split_frames(chosen, pd.DataFrame(index=chosen.index), settings, 1, "Al")
    share = pd.Series(names).value_counts() / len(names)
    assert share["test"] == pytest.approx(0.2, abs=0.03)
    assert share["valid"] == pytest.approx(0.1, abs=0.03)
    xy = chosen[["sS", "Q6"]].to_numpy()
    index = np.clip(np.floor((xy - xy.min(0)) / np.ptp(xy, axis=0) * 3), 0, 2)
    for cell in np.unique(index, axis=0):
        inside = (index == cell).all(axis=1)
        if inside.sum() >= 10:
            assert (names[inside] == "test").any()


def test_no_near_duplicate_crosses_the_split(cloud):
    some = cloud.iloc[:300].reset_index(drop=True)
    settings = Split(duplicate_distance=0.02)
    names = split_frames(some, pd.DataFrame(index=some.index), settings, 1, "Al")
    values = some[["sS", "Q6", "volume_per_atom"]].to_numpy()
    scaled = values / np.ptp(values, axis=0)
    distance = np.linalg.norm(scaled[:, None] - scaled[None], axis=2)
    across = (names[:, None] == "test") & (names[None] != "test")
    assert across.any()
    assert distance[across].min() > 0.02


def test_families_stay_together(chosen):
    ids = chosen["frame_id"].to_numpy()
    lineage = pd.DataFrame({"parent": "", "root": "seed"}, index=chosen.index)
    parent = lineage.columns.get_loc("parent")
    lineage.iloc[1, parent] = ids[0]  # child of frame 0
    lineage.iloc[[5, 6], parent] = "absent"  # siblings of an unselected parent
    lineage.iloc[[8, 9], parent] = "seed"  # siblings of a seed
    found = groups(chosen, lineage, 0.0)
    assert found[0] == found[1]
    assert found[5] == found[6]
    assert found[8] != found[9]


def test_split_is_reproducible_and_seeded(chosen):
    empty = pd.DataFrame(index=chosen.index)
    first = split_frames(chosen, empty, Split(), 1, "Al")
    assert np.array_equal(first, split_frames(chosen, empty, Split(), 1, "Al"))
    assert not np.array_equal(first, split_frames(chosen, empty, Split(), 2, "Al"))


def test_too_few_frames_for_three_sets(cloud):
    few = cloud.iloc[:3]
    with pytest.raises(StageError, match="no frame for the"):
        split_frames(few, pd.DataFrame(index=few.index), Split(), 1, "Al")


def test_near_finds_a_slightly_moved_copy(aluminium: Frames):
    moved = aluminium.take([0, 4])
    moved.positions = moved.positions + 1e-4 * np.sin(np.arange(moved.positions.size)).reshape(
        -1, 3
    )
    candidates = concatenate([moved, aluminium.take([8, 9])])
    found = near(candidates, aluminium.take(range(6)), Landscape(cutoff=3.4), 0.01)
    assert found[:2].all()
    assert not found[2:].any()
    landscape = points(candidates, Landscape(cutoff=3.4))
    assert len(landscape) == 4
