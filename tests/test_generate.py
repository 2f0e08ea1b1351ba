"""Generation: targets, genes, constraints, directed evolution, reproducibility."""

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from polymorphkd.errors import ConfigError, StageError
from polymorphkd.frames import concatenate, from_atoms
from polymorphkd.generate import Context, evolve, evolve_shard, make_targets, merge_library
from polymorphkd.generate.constraints import Checker
from polymorphkd.generate.mutations import mutate
from polymorphkd.landscape import points
from polymorphkd.landscape.grid import coordinates
from polymorphkd.provenance import rng
from polymorphkd.settings import Amplitudes, Constraints, Generate, Landscape

LANDSCAPE = Landscape(cutoff=3.4)


def context(**settings) -> tuple[Context, pd.DataFrame]:
    images = [
        bulk("Al", "fcc", 4.05, cubic=True),
        bulk("Al", "bcc", 3.2, cubic=True) * (2, 1, 1),
        bulk("Al", "hcp", 2.86) * (2, 1, 1),
    ]
    seeds = from_atoms(images).sorted_by_id()
    chosen = Generate(**{"generations": 6, "population": 8, "targets_per_edge": 2, **settings})
    table = points(seeds, LANDSCAPE)
    targets, box = make_targets(table, chosen)
    return Context(seeds, table, box, LANDSCAPE, chosen, 1, "Al"), targets


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


def mutants(amplitudes: Amplitudes, n: int = 200):
    atoms = bulk("Al", "fcc", 4.05, cubic=True)
    random = rng(1, "Al", "test", 0)
    for _ in range(n):
        yield atoms, *mutate(atoms.positions, atoms.cell.array, atoms.pbc, amplitudes, random)


def test_each_gene_changes_what_it_should():
    seen = set()
    for atoms, positions, cell, operator in mutants(Amplitudes(displaced_fraction=(0.2, 0.6))):
        seen.add(operator)
        fractional = positions @ np.linalg.inv(cell)
        moved = ~np.isclose(fractional, atoms.get_scaled_positions(wrap=False)).all(axis=1)
        ratio = np.linalg.det(cell) / atoms.get_volume()
        shape = cell / np.cbrt(np.linalg.det(cell)) * np.cbrt(atoms.get_volume())
        genes = operator.split("+")
        assert moved.any() == ("D" in genes)
        assert moved.sum() <= 2
        assert (not np.isclose(ratio, 1)) == ("V" in genes)
        assert (not np.allclose(shape, atoms.cell.array)) == ("S" in genes)
        assert abs(ratio - 1) <= 0.05 + 1e-9
    assert len(seen) == 7


def test_only_displacements_along_open_directions():
    slab = bulk("Al", "fcc", 4.05, cubic=True)
    slab.pbc = (True, True, False)
    random = rng(1, "Al", "test", 1)
    for _ in range(20):
        _, cell, operator = mutate(slab.positions, slab.cell.array, slab.pbc, Amplitudes(), random)
        assert operator == "D"
        assert np.array_equal(cell, slab.cell.array)


def check(atoms, **constraints) -> str:
    seeds = from_atoms([bulk("Al", "fcc", 4.05, cubic=True)])
    checker = Checker(Constraints(**constraints), seeds)
    return checker.reason(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)


def scaled(factor):
    atoms = bulk("Al", "fcc", 4.05, cubic=True)
    atoms.set_cell(atoms.cell.array @ np.asarray(factor), scale_atoms=True)
    return atoms


def test_constraints_name_their_reason():
    assert check(scaled(np.eye(3))) == ""
    assert check(scaled(np.eye(3) * 1.2)) == "volume"
    assert check(scaled([[1, 0, 0], [1.5, 1, 0], [0, 0, 1]])) == "angle"
    assert check(scaled(np.diag([3, 3**-0.5, 3**-0.5])), angle_window=(30, 150)) == "aspect"
    close = scaled(np.eye(3))
    close.positions[1] = close.positions[0] + [1.5, 0, 0]
    assert check(close) == "distance"
    assert check(close, min_distance={"Al-Al": 1.4}) == ""


def test_distance_sees_periodic_images():
    thin = scaled(np.diag([0.4, 1.6, 1.6]))
    assert check(thin, max_aspect=20) == "distance"


def test_diamond_passes_out_of_the_box():
    diamond = bulk("C", "diamond", 3.567, cubic=True)
    checker = Checker(Constraints(), from_atoms([diamond]))
    arrays = (diamond.numbers, diamond.positions, diamond.cell.array, diamond.pbc)
    assert checker.reason(*arrays) == ""


def test_a_pair_must_name_elements_present():
    with pytest.raises(ConfigError, match="'Al-Cu'.*two of the elements"):
        Checker(Constraints(min_distance={"Al-Cu": 2.0}), from_atoms([bulk("Al")]))


def test_evolution_approaches_its_target():
    made, targets = context(generations=25, population=20)
    target = targets[targets["edge"] == "high sS"].iloc[1]
    frames, outcome = evolve(made, target)
    goal = made.box.scaled(target[["sS", "Q6"]].to_numpy(dtype=float))
    start = np.linalg.norm(made.box.scaled(coordinates(made.seed_points)) - goal, axis=1).min()
    reached = np.linalg.norm(made.box.scaled(frames.meta[["sS", "Q6"]]) - goal, axis=1).min()
    assert reached < 0.5 * start
    assert outcome["accepted"] == len(frames)
    assert sum(outcome.values()) == 25 * 20


def test_every_individual_obeys_the_constraints_and_has_a_lineage():
    made, targets = context()
    frames, _ = evolve(made, targets.iloc[0])
    checker = Checker(made.settings.constraints, made.seeds)
    for i in range(len(frames)):
        where = frames.atoms_of(i)
        arrays = (frames.numbers[where], frames.positions[where], frames.cells[i], frames.pbc[i])
        assert checker.reason(*arrays) == ""
    known = {*made.seeds.frame_ids(), *frames.frame_ids()}
    assert set(frames.meta["parent"]) <= known
    assert set(frames.meta["root"]) <= set(made.seeds.frame_ids())
    table = points(frames, LANDSCAPE)
    np.testing.assert_array_equal(table["sS"], frames.meta["sS"])


def library(n_shards: int):
    made, targets = context()
    order = np.random.default_rng(n_shards).permutation(n_shards)
    shards = [evolve_shard(made, targets, int(k), n_shards)[0] for k in order]
    return merge_library(made.seeds, made.seed_points, shards)


def test_the_library_does_not_depend_on_shards_or_order():
    one, three, eight = library(1), library(3), library(8)
    assert one.frame_ids() == three.frame_ids() == eight.frame_ids()
    pd.testing.assert_frame_equal(one.meta, eight.meta)
    assert len(set(one.frame_ids())) == len(one)


def test_impossible_constraints_say_so():
    made, targets = context(constraints={"volume_window": [5.0, 6.0]})
    frames, outcome = evolve(made, targets.iloc[0])
    assert len(frames) == 0
    assert outcome == {"volume": 48}
    with pytest.raises(StageError, match="not a single mutant"):
        merge_library(made.seeds, made.seed_points, [concatenate([frames])])
