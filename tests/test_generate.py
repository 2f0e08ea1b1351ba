"""Strategies of the generator: targets, evolution, filling, lineage, the merged library."""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from generation import LANDSCAPE, context, whole, write_shards
from polymorphkd.errors import ConfigError, InputError, StageError
from polymorphkd.generate import Breeder, merge_library, merge_outcomes, run_task, write_shard
from polymorphkd.generate.archive import ELITES, Archive
from polymorphkd.generate.constraints import Checker
from polymorphkd.generate.filling import filling, write_filling
from polymorphkd.generate.individuals import Structures, extents
from polymorphkd.generate.known import Known
from polymorphkd.landscape import points
from polymorphkd.landscape.grid import Box, cells, coordinates, inside
from polymorphkd.readers import read_frames
from polymorphkd.settings import Generate, Landscape
from pydantic import ValidationError

STRATEGIES = ["edges", "fill", "rattle", "random"]


def test_targets_walk_around_the_expanded_box_once():
    made, targets = context(targets_per_edge=5, box_margin=0.2)
    assert len(targets) == 20
    assert len(targets[["sS", "Q6"]].drop_duplicates()) == 20
    xy = coordinates(made.seed_points)
    low, high = xy.min(axis=0), xy.max(axis=0)
    assert made.box.sS[0] == pytest.approx(low[0] - 0.1 * (high[0] - low[0]))
    assert made.box.Q6[1] == pytest.approx(high[1] + 0.1 * (high[1] - low[1]))
    scaled = made.box.scaled(targets[["sS", "Q6"]].to_numpy())
    on_edge = np.isclose(scaled, 0) | np.isclose(scaled, 1)
    assert on_edge.any(axis=1).all()


def test_a_box_of_ones_own_must_hold_a_seed():
    made, _ = context(box={"sS": (-60, -1), "Q6": (0.3, 0.7)})
    assert made.box == Box((-60, -1), (0.3, 0.7))
    with pytest.raises(ConfigError, match="none of the 3 seeds lies inside; they span sS -"):
        context(box={"sS": (-3, -1), "Q6": (0.0, 0.1)})
    with pytest.raises(ValidationError, match="sS: -1 is not below -2"):
        Generate(box={"sS": (-1, -2), "Q6": (0, 1)})


def test_one_seed_alone_has_a_box_that_can_be_filled():
    made, targets = context([bulk("Al", "fcc", 4.05, cubic=True)], strategy="fill")
    low, high = made.box.sS
    assert high - low == pytest.approx(4)
    assert made.box.Q6[1] - made.box.Q6[0] == pytest.approx(0.02)
    frames, _, _ = whole(made, targets.iloc[0])
    assert occupied(frames, made) > 30


def test_molecules_are_not_taken_apart():
    with pytest.raises(ValidationError, match="take molecules apart"):
        Generate(rigid_units=True, displacements={"swap": 1})


def test_evolution_approaches_its_target():
    made, targets = context(generations=25, population=20)
    target = targets[targets["edge"] == "high sS"].iloc[1]
    frames, tally, _ = whole(made, target)
    goal = made.box.scaled(target[["sS", "Q6"]].to_numpy(dtype=float))
    start = np.linalg.norm(made.box.scaled(coordinates(made.seed_points)) - goal, axis=1).min()
    reached = np.linalg.norm(made.box.scaled(frames.meta[["sS", "Q6"]]) - goal, axis=1).min()
    assert reached < 0.5 * start
    assert tally["accepted"] == len(frames)
    assert sum(tally.values()) == 25 * 20


def occupied(frames, made, n: int = 40) -> int:
    xy = frames.meta[["sS", "Q6"]].to_numpy(dtype=float)
    return len(np.unique(cells(xy[inside(xy, made.box)], made.box, n), axis=0))


def test_fill_fills_more_than_undirected_mutants():
    found = {}
    for strategy in ("fill", "rattle", "random"):
        made, targets = context(strategy=strategy, evaluations=3000)
        frames, tally, ended = whole(made, targets.iloc[0])
        assert ended == "budget"
        assert sum(tally.values()) == 3000
        found[strategy] = occupied(frames, made)
    assert found["fill"] > 2 * found["rattle"]
    assert found["fill"] > 1.3 * found["random"]


def test_fill_stops_where_it_should_and_says_so():
    made, targets = context(strategy="fill", evaluations=5000, grid=2)
    frames, _, ended = whole(made, targets.iloc[0])
    assert ended == "coverage"
    assert occupied(frames, made, 2) == 4
    still = {"displacement": 0.0, "volume": 0.0, "shear": 0.0}
    one = [bulk("Al", "fcc", 4.05, cubic=True), bulk("Al", "hcp", 2.86)]  # nothing to blend
    made, targets = context(one, strategy="fill", evaluations=5000, patience=300, amplitudes=still)
    frames, tally, ended = whole(made, targets.iloc[0])
    assert ended == "stalled"
    assert sum(tally.values()) < 1000


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_individual_obeys_the_constraints_and_has_a_lineage(strategy):
    made, targets = context(strategy=strategy)
    frames, tally, _ = whole(made, targets.iloc[0])
    assert tally["accepted"] == len(frames) > 30
    checker = Checker(made.settings.constraints, made.seeds)
    flat = Structures(
        frames.offsets, frames.numbers, frames.positions, frames.cells, frames.pbc,
        np.zeros(len(frames.numbers), dtype=np.int64),
    )  # fmt: skip
    outcome, _ = checker.check(flat, extents(frames.cells, frames.pbc))
    assert (outcome == 0).all()
    names = frames.frame_ids()
    assert len(set(names)) == len(names)
    born = dict(zip(names, range(len(names)), strict=True))
    for k, parent in enumerate(frames.meta["parent"]):
        assert parent in made.seeds.frame_ids() or born[parent] < k
    assert set(frames.meta["root"]) <= set(made.seeds.frame_ids())
    assert (frames.meta["seed"] == 1).all()
    table = points(frames, LANDSCAPE)
    np.testing.assert_array_equal(table["sS"], frames.meta["sS"])
    np.testing.assert_array_equal(table["Q6"], frames.meta["Q6"])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_library_does_not_depend_on_shards_or_order(strategy, tmp_path):
    made, targets = context(strategy=strategy, islands=5, generations=3)
    libraries = []
    for n in (1, 3, 5):
        paths = write_shards(made, targets, n, tmp_path)
        lineage = merge_library(made.seeds, made.seed_points, paths, tmp_path / "all.parquet")
        library = read_frames(tmp_path / "all.parquet")
        assert library.frame_ids() == lineage["frame_id"].tolist()
        libraries.append((tmp_path / "all.parquet").read_bytes())
        assert len(set(lineage["frame_id"])) == len(lineage)
        assert (library.meta["operator"] == "seed").sum() == 3
    assert libraries[0] == libraries[1] == libraries[2]
    other, _ = context(strategy=strategy, islands=5, generations=3, seed=2)
    paths = write_shards(other, targets, 1, tmp_path)
    merge_library(other.seeds, other.seed_points, paths, tmp_path / "all.parquet")
    assert (tmp_path / "all.parquet").read_bytes() != libraries[0]


def test_shards_say_what_happened(tmp_path):
    made, targets = context(strategy="fill", islands=2, evaluations=101)
    outcomes = [write_shard(made, targets, k, 2, tmp_path / f"{k}.parquet") for k in (0, 1)]
    merged = merge_outcomes(outcomes)
    assert sum(merged["mutants"].values()) == 101
    assert merged["ended"] == {"budget": 2}
    assert [list(outcome["ended"]) for outcome in outcomes] == [["0"], ["1"]]


def test_a_run_without_a_single_mutant_says_so(tmp_path):
    still = {"displacement": 0.0, "volume": 0.0, "shear": 0.0}
    made, targets = context(strategy="rattle", amplitudes=still)
    outcome = write_shard(made, targets, 0, 1, tmp_path / "0.parquet")
    assert outcome["mutants"] == {"accepted": 0, "duplicate": 400}
    assert len(read_frames(tmp_path / "0.parquet")) == 0
    with pytest.raises(StageError, match="not a single mutant"):
        merge_library(
            made.seeds, made.seed_points, [tmp_path / "0.parquet"], tmp_path / "all.parquet"
        )
    assert not (tmp_path / "all.parquet").exists()


def test_one_atom_cells_are_refused():
    made, targets = context([bulk("Al"), *[bulk("Al", "hcp", 2.86) * (2, 1, 1)]])
    with pytest.raises(InputError, match="1 seeds have one atom only"):
        next(run_task(made, targets.iloc[0]))


def alloy() -> list[Atoms]:
    ordered = bulk("Cu", "fcc", 3.75, cubic=True)
    ordered.symbols[0] = "Au"
    mixed = ordered * (2, 1, 1)
    mixed.symbols[:] = ["Au", "Au", "Cu", "Cu", "Cu", "Cu", "Cu", "Cu"]
    return [ordered * (2, 1, 1), mixed]


def slabs() -> list[Atoms]:
    return [fcc111("Al", (2, 2, 3), a, vacuum=8) for a in (4.05, 4.15)]


def clusters() -> list[Atoms]:
    from ase.cluster import Octahedron

    small = Octahedron("Al", 3, latticeconstant=4.05)
    shaken = small.copy()
    shaken.rattle(0.2, seed=1)
    return [small, shaken]


def ice() -> list[Atoms]:
    one = molecule("H2O")
    one.cell, one.pbc = [4, 4, 4], True
    turned = one.copy()
    turned.rotate(40, "x")
    return [one * (2, 2, 1), turned * (2, 1, 2)]


@pytest.mark.parametrize(
    ("seeds", "more", "density"),
    [
        (alloy, {"displacements": {"swap": 1, "hop": 1, "wave": 1}}, None),
        (slabs, {}, 0.06),
        (clusters, {}, 0.06),
        (ice, {"rigid_units": True, "constraints": {"min_distance_factor": 0.7}}, None),
    ],
)
@pytest.mark.parametrize("strategy", ["edges", "fill"])
def test_alloys_slabs_clusters_and_molecules(strategy, seeds, more, density):
    landscape = Landscape(cutoff=3.4, density=density)
    made, targets = context(seeds(), landscape, strategy=strategy, box_margin=1.0, **more)
    frames, tally, _ = whole(made, targets.iloc[1 if strategy == "edges" else 0])
    assert tally["accepted"] > 20
    if seeds is alloy:
        assert any("swap" in name for name in frames.meta["operator"])
        counts = [np.sum(frames.numbers[frames.atoms_of(i)] == 79) for i in range(len(frames))]
        assert set(counts) == {2}
    if seeds is slabs:
        heights = [slab.cell[2, 2] for slab in slabs()]
        assert np.isclose(frames.cells[:, 2, 2][:, None], heights).any(axis=1).all()
        assert (frames.cells[:, 2, :2] == 0).all()
    if seeds is ice:
        for i in range(len(frames)):
            ohh = frames.positions[frames.atoms_of(i)][:3]
            assert np.linalg.norm(ohh[0] - ohh[1]) == pytest.approx(0.969, abs=0.002)


def test_archive_keeps_the_roomiest_of_each_cell():
    made, _ = context()
    parents = Breeder(made, np.random.default_rng(1)).founders
    archive = Archive(Box((-2, 0), (0, 1)), 2)
    members = []
    for quality in np.linspace(1, 2, 3 * ELITES):
        member = type(parents[0])(**{**vars(parents[0]), "quality": float(quality)})
        members.append(member)
    xy = np.tile([-0.5, 0.2], (len(members), 1))
    before = archive.add(members, xy)
    assert before.tolist() == list(range(len(members)))
    kept = archive.anywhere(200, np.random.default_rng(1))
    best = np.linspace(1, 2, 3 * ELITES)[-ELITES:]
    assert {member.quality for member in kept} == set(best.tolist())
    assert archive.add(members[:1], np.array([[-3.0, 0.5]])).tolist() == [-1]
    assert archive.n_occupied == 1
    assert archive.counts.sum() == len(members)


def test_filling_tells_when_each_cell_was_reached(tmp_path):
    lineage = pd.DataFrame(
        {
            "frame_id": list("abcdef"),
            "target": [-1, 0, 0, 1, 1, 1],
            "generation": [0, 1, 2, 1, 2, 2],
            "sS": [-1.9, -1.9, -0.1, -0.1, -0.1, -5.0],
            "Q6": [0.1, 0.1, 0.9, 0.9, 0.1, 0.1],
        }
    )
    box = Box((-2, 0), (0, 1))
    table = filling(lineage, box, 2)
    assert table["frame_id"].tolist() == list("abdcef")
    assert table["new"].tolist() == [True, False, True, False, True, False]
    assert table["occupied"].tolist() == [1, 1, 2, 2, 3, 3]
    assert table["cell_sS"].tolist() == [0, 0, 1, 1, 1, -1]
    write_filling(table, box, 2, tmp_path / "filling.parquet", tmp_path / "filling.png")
    assert pd.read_parquet(tmp_path / "filling.parquet").equals(table)
    assert (tmp_path / "filling.png").read_bytes().startswith(b"\x89PNG")


def test_the_published_preset_and_what_wins_over_it():
    published = Generate(preset="published")
    assert (published.targets_per_edge, published.generations, published.population) == (
        10,
        30,
        50,
    )
    assert published.amplitudes.volume == 0.01
    own = Generate(preset="published", population=20, amplitudes={"volume": 0.05})
    assert own.population == 20
    assert own.amplitudes.volume == 0.05
    assert own.amplitudes.displacement == published.amplitudes.displacement
    with pytest.raises(ValidationError):
        Generate(preset="mine")


def test_jobs_are_no_more_than_searches():
    assert Generate(strategy="fill", islands=2, n_shards=8).n_jobs == 2
    assert Generate(strategy="edges", targets_per_edge=1, n_shards=8).n_jobs == 4


def test_results_of_the_seeds_alone_decide(tmp_path):
    """Seeds in another order are the same run: they are sorted by frame id."""
    images = [bulk("Al", "fcc", 4.05, cubic=True), bulk("Al", "hcp", 2.86) * (2, 1, 1)]
    one, targets = context(images, strategy="fill")
    two, _ = context(images[::-1], strategy="fill")
    first, second = whole(one, targets.iloc[0])[0], whole(two, targets.iloc[0])[0]
    assert first.frame_ids() == second.frame_ids()


def test_a_million_ids_are_remembered_exactly_in_little_memory():
    numbers = np.random.default_rng(5).integers(2**64, size=300_000, dtype=np.uint64)
    numbers[::7] = numbers[0]
    known, oracle = Known([int(numbers[0])]), {int(numbers[0])}
    for number in numbers.tolist():
        assert known.add(number) == (number not in oracle)
        oracle.add(number)
    assert len(known) == len(oracle)
    assert known._sorted.nbytes < 8 * len(oracle)
    assert all(number in known for number in (int(numbers[0]), int(numbers[-1])))
    assert 0 not in known
