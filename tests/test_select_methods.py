"""Baselines of the selection: random, farthest point and DIRECT."""

import numpy as np
import pytest
from conftest import points_table
from polymorphkd.errors import StageError
from polymorphkd.select import baselines, run_rounds, select_rounds
from polymorphkd.select.baselines import (
    direct_clusters,
    farthest_points,
    weighted_components,
)
from polymorphkd.select.rounds import MOST_CLUSTERS
from polymorphkd.settings import Choice, Round, Select

METHODS = ["random", "farthest-point", "direct"]


def settings(method: str, **more) -> Select:
    rounds = {"standard": [{"resolution": [3, 0.06]}], "supplementary": [{"count": 300}]}
    return Select(method=method, **rounds, **more)


@pytest.mark.parametrize("method", METHODS)
def test_baselines_take_as_many_frames_as_the_grid_and_none_twice(cloud, method):
    grid = select_rounds(cloud, settings("grid"), 1, "Al")
    found = select_rounds(cloud, settings(method), 1, "Al")
    for name in ("standard", "supplementary"):
        assert len(found.of(name)) == len(set(found.of(name))) == len(grid.of(name))
    assert not set(found.of("standard")) & set(found.of("supplementary"))
    assert found.report["method"] == method
    assert [entry["step"] for entry in found.report["rounds"]] == [None, None]


def test_a_round_may_have_its_own_method(cloud):
    """The grid for DFT, and by chance, as dense as the library, for the teacher."""
    rounds = {
        "standard": [{"resolution": [3, 0.06]}],
        "supplementary": [{"count": 300, "method": "random"}, {"count": 100}],
    }
    grid = select_rounds(cloud, settings("grid"), 1, "Al")
    mixed = select_rounds(cloud, Select.model_validate(rounds), 1, "Al")
    np.testing.assert_array_equal(mixed.of("standard"), grid.of("standard"))
    second = np.flatnonzero(mixed.rounds == 2)
    assert len(second) == len(grid.of("supplementary"))
    assert set(second) != set(grid.of("supplementary"))
    assert len(np.flatnonzero(mixed.rounds == 3)) <= 100
    entries = mixed.report["rounds"]
    assert [entry["method"] for entry in entries] == ["grid", "random", "grid"]
    assert [entry["step"] is None for entry in entries] == [False, True, False]
    again = select_rounds(cloud, Select.model_validate(rounds), 2, "Al")
    np.testing.assert_array_equal(again.of("standard"), mixed.of("standard"))
    assert set(np.flatnonzero(again.rounds == 2)) != set(second)


def test_the_grid_covers_more_than_chance(cloud):
    radius = {
        method: select_rounds(cloud, settings(method), 1, "Al").report["rounds"][0]["so_far"]
        for method in ["grid", *METHODS]
    }
    assert radius["grid"]["occupied"] > radius["random"]["occupied"]
    assert radius["grid"]["covering_radius"] < radius["random"]["covering_radius"] / 2
    assert radius["direct"]["covering_radius"] < radius["random"]["covering_radius"]


def test_random_is_seeded(cloud):
    def chosen(seed: int, material: str = "Al") -> list[int]:
        return select_rounds(cloud, settings("random"), seed, material).of("standard").tolist()

    assert chosen(1) == chosen(1)
    assert chosen(1) != chosen(2)
    assert chosen(1) != chosen(1, "Cu")


def test_farthest_points_of_a_line():
    x = np.array([0.0, 0.1, 0.5, 0.7, 1.0])
    line = np.column_stack([x, np.full(5, 0.5)])
    nobody = np.zeros((0, 2))
    assert farthest_points(line, 4, nobody).tolist() == [2, 0, 4, 3]
    assert farthest_points(line[[1, 2, 3]], 2, line[[0, 4]]).tolist() == [1, 2]


def test_farthest_points_are_those_of_a_plain_loop(cloud):
    scaled = cloud[["sS", "Q6"]].to_numpy()[:700] / [30, 0.6] + [1, 0]
    before = scaled[:20]
    taken = list(range(20))
    for _ in range(40):
        distance = np.linalg.norm(scaled[:, None] - scaled[taken][None], axis=2).min(axis=1)
        distance[taken] = -1
        taken.append(int(distance.argmax()))
    found = farthest_points(scaled[20:], 40, before) + 20
    assert found.tolist() == taken[20:]


def test_farthest_points_of_equal_points_are_different_rows():
    same = np.tile([[0.5, 0.5]], (6, 1))
    assert sorted(farthest_points(same, 6, same[:0])) == list(range(6))


def blobs(n_each: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    centres = random.uniform(-1, 1, (12, 3)) * [30, 0.6, 4]
    spread = random.normal(0, 0.01, (12 * n_each, 3)) * [30, 0.6, 4]
    return np.repeat(centres, n_each, axis=0) + spread, np.repeat(np.arange(12), n_each)


def test_direct_finds_clusters_that_are_there():
    features, truth = blobs(80)
    label, distance = direct_clusters(features, 12)
    assert len(np.unique(label)) == 12
    assert len(set(zip(label.tolist(), truth.tolist(), strict=True))) == 12
    components = weighted_components(features)
    centre = components[label == label[0]].mean(axis=0)
    assert distance[0] == pytest.approx(np.linalg.norm(components[0] - centre))


@pytest.mark.parametrize("count", [5, 40, 700])
def test_direct_gives_as_many_clusters_as_wanted(cloud, count):
    features = cloud[["sS", "Q6", "volume_per_atom"]].to_numpy()
    label, _ = direct_clusters(features, count)
    assert len(np.unique(label)) == count


def test_direct_starts_from_a_sample_of_many_points(cloud, monkeypatch):
    monkeypatch.setattr(baselines, "SAMPLE", 500)
    features = cloud[["sS", "Q6", "volume_per_atom"]].to_numpy()
    assert len(np.unique(direct_clusters(features, 60)[0])) == 60


def test_weights_are_the_shares_of_the_variance():
    random = np.random.default_rng(0)
    features = np.column_stack([random.normal(size=(4000, 2)), np.full(4000, 16.0)])
    features[:, 1] += 2 * features[:, 0]
    components = weighted_components(features)
    assert components.shape == (4000, 2)  # the constant column carries nothing
    variance = components.var(axis=0)
    share = np.array([1 + 2 / 5**0.5, 1 - 2 / 5**0.5]) / 2
    np.testing.assert_allclose(variance, 2 * share * share**2, rtol=0.05)


def test_direct_obeys_the_representative_rule():
    features, truth = blobs(30)
    features[:, 0] -= features[:, 0].max() + 1  # sS below zero, Q6 from zero on
    features[:, 1] -= features[:, 1].min()
    energy = np.random.default_rng(2).random(len(features))
    points = points_table(
        features[:, :2], volume_per_atom=features[:, 2] + 20, energy_per_atom=energy
    )
    found = run_rounds(
        points, [("all", Round(count=12))], Choice(method="direct", representative="lowest")
    )
    lowest = [int(np.where(truth == k, energy, np.inf).argmin()) for k in range(12)]
    assert sorted(found.rows) == sorted(lowest)


def test_direct_fills_up_where_points_are_equal():
    xy = np.array([[-1.0, 0.1], [-1.01, 0.1], [-9.0, 0.5], [-9.01, 0.5], [-5.0, 0.3]])
    points = points_table(np.repeat(xy, 4, axis=0))
    rounds = [("all", Round(resolution=(0.005, 0.01))), ("all", Round(resolution=(0.005, 0.01)))]
    found = run_rounds(points, rounds, Choice(method="direct"))
    grid = run_rounds(points, rounds, Choice())
    assert np.bincount(found.rounds).tolist() == np.bincount(grid.rounds).tolist()


def test_direct_refuses_more_clusters_than_it_can_merge():
    sS = -0.5 - np.arange(MOST_CLUSTERS + 1)
    xy = np.column_stack([[*sS, -0.6], np.full(len(sS) + 1, 0.3)])
    with pytest.raises(StageError, match=r"direct: 10,001 frames.*10,000 a round"):
        run_rounds(points_table(xy), [("all", Round(resolution=(1, 1)))], Choice(method="direct"))


def test_direct_agrees_with_the_library_of_its_authors(cloud):
    """maml's own sampler on the same features covers as well (it stops at other thresholds)."""
    sampling = pytest.importorskip("maml.sampling.direct")
    features = cloud[["sS", "Q6", "volume_per_atom"]].to_numpy()
    components = weighted_components(features)
    pca = sampling.PrincipalComponentAnalysis()
    scaled = sampling.StandardScaler().fit_transform(features)
    first = pca.fit(scaled).transform(scaled)  # those of eigenvalue above one
    np.testing.assert_allclose(np.abs(first), np.abs(components[:, : first.shape[1]]), atol=1e-9)
    label, distance = direct_clusters(features, 60)
    sampler = sampling.DIRECTSampler(
        structure_encoder=None,
        scaler=None,
        pca=None,
        clustering=sampling.BirchClustering(n=60, threshold_init=0.2),
    )
    theirs = sampler.fit_transform(components)["selected_indexes"]
    ours = [np.flatnonzero(label == k)[distance[label == k].argmin()] for k in range(60)]

    def radius(rows) -> float:
        difference = components[:, None] - components[None, rows]
        return float(np.linalg.norm(difference, axis=2).min(axis=1).max())

    assert len(theirs) == 60
    assert radius(ours) == pytest.approx(radius(theirs), rel=0.5)
