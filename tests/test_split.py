"""Near-duplicates and honest splits."""

import numpy as np
import pandas as pd
import pytest
from polymorphkd.errors import StageError
from polymorphkd.frames import Frames, concatenate
from polymorphkd.landscape import points
from polymorphkd.select import near, select_rounds, split_frames
from polymorphkd.select.split import groups
from polymorphkd.settings import Landscape, Select, Split


@pytest.fixture
def chosen(cloud) -> pd.DataFrame:
    found = select_rounds(cloud, Select(standard={"count": 150}), 1, "Al")
    return cloud.iloc[found.of("standard")]


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
