"""Paths: the metric, the lowest maximum with walls between frames, the elastic band."""

from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.fd import calculate_numerical_stress
from ase.units import GPa
from polymorphkd.errors import StageError
from polymorphkd.frames import from_atoms
from polymorphkd.lammps import Potential
from polymorphkd.paths import (
    BandSettings,
    Reach,
    Refinement,
    Surface,
    align,
    follow,
    make_graph,
    measure,
    minimax_path,
    refine,
    relax_band,
    trace,
)
from polymorphkd.paths.band import StateCalculator, Undeformed
from polymorphkd.paths.shells import pair_shells
from polymorphkd.seeds.carbon import carbon, pathway
from polymorphkd.settings import Constraints, Landscape

TERSOFF = Potential("tersoff", "SiC.tersoff", ("C",))


def salt(rng: np.random.Generator, strain: float = 0.0, noise: float = 0.0) -> Atoms:
    """Six atoms of two species in a triclinic cell, deformed and displaced."""
    cell = np.array([[3.1, 0, 0], [0.7, 3.9, 0], [-0.4, 1.1, 4.7]])
    places = np.random.default_rng(99).random((6, 3))
    cell = cell @ (np.eye(3) + rng.normal(0, strain, (3, 3)))
    atoms = Atoms("Na3Cl3", scaled_positions=places, cell=cell, pbc=True)
    atoms.positions += rng.normal(0, noise, (6, 3))
    return atoms


def disguised(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """The same structure with other cell vectors, axes, order, origin, handedness."""
    other = atoms[rng.permutation(len(atoms))]
    other.set_cell(np.array([[1, 1, 0], [0, 1, 0], [0, -1, -1]]) @ other.cell.array)
    other.rotate(47, (1, 2, 3), rotate_cell=True)
    mirror = np.diag([1, -1, 1])
    other.set_cell(other.cell.array @ mirror)
    other.positions = other.positions @ mirror + rng.normal(0, 5, 3)
    other.wrap()
    return other


@pytest.mark.parametrize("seed", range(4))
def test_the_distance_is_blind_to_axes_order_and_origin(seed):
    rng = np.random.default_rng(seed)
    a, b = salt(rng), salt(rng, 0.02, 0.05)
    plain = align(a, b)
    assert align(a, disguised(a, rng)).distance == pytest.approx(0, abs=1e-6)
    for x, y in ((b, a), (a, disguised(b, rng)), (disguised(b, rng), disguised(a, rng))):
        assert align(x, y).distance == pytest.approx(plain.distance, abs=1e-9)
    assert plain.distance <= follow(a, b).distance
    assert align(a, b, plain.distance * 1.001).distance == pytest.approx(plain.distance)
    assert align(a, b, plain.distance * 0.999) is None


def test_known_distances():
    """Displacement alone is its length; strain alone is J times its logarithm."""
    rng = np.random.default_rng(1)
    a = salt(rng)
    b = a.copy()
    b.positions[2] += [0.12, 0, 0]
    # The common shift is taken off: 0.12 * sqrt(5/6).
    assert align(a, b).distance == pytest.approx(0.12 * np.sqrt(5 / 6), abs=1e-9)
    c = a.copy()
    c.set_cell(1.05 * a.cell.array, scale_atoms=True)
    volume = a.get_volume() * 1.05**1.5
    factor = (volume / 6) ** (1 / 3) * np.sqrt(6)
    assert align(a, c).distance == pytest.approx(factor * np.sqrt(3) * np.log(1.05), abs=1e-9)


def test_the_way_leads_to_the_other_structure():
    rng = np.random.default_rng(2)
    a, b = salt(rng), salt(rng, 0.05, 0.2)
    way = align(a, disguised(b, rng))
    assert follow(a, way.at(a, 0.0)).distance == pytest.approx(0, abs=1e-9)
    assert align(way.at(a, 1.0), b).distance == pytest.approx(0, abs=1e-6)
    middle = way.at(a, 0.5)
    assert follow(a, middle).distance == pytest.approx(way.distance / 2, rel=0.02)


def test_species_are_not_exchanged_and_other_sizes_are_refused():
    rng = np.random.default_rng(3)
    a = salt(rng)
    swapped = a.copy()
    swapped.numbers = a.numbers[::-1]
    assert align(a, swapped).distance > 0.3
    with pytest.raises(ValueError, match="equal composition"):
        align(a, a.repeat((2, 1, 1)))
    with pytest.raises(ValueError, match="same order"):
        follow(a, swapped)


def test_graphites_and_diamonds_take_the_way_they_are_built_on():
    for name in ("ABC-diamond", "AA-lonsdaleite", "AB-lonsdaleite", "AB-diamond"):
        start, end = pathway(name, 2, (2, 1, 1))
        assert align(start, end).distance <= follow(start, end).distance + 1e-9
        assert align(start, end, 4.0).distance == pytest.approx(align(start, end).distance)


class Pass(Calculator):
    """A wall across the axial ratio of a one-atom cell, lower at one volume.

    With x = ln(c/2a) and y = ln(V/V0) the energy is 10 (x^2 - 0.16)^2 + 0.2 y^2 plus a wall
    of width `width` at x = 0 that is 1 eV high and 0.3 eV at y = 0.3, all in eV.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, width: float) -> None:
        super().__init__()
        self.width = width

    def value(self, atoms: Atoms) -> float:
        a, b, c = atoms.cell.lengths()
        x = np.log(c / np.sqrt(a * b) / 2)
        y = np.log(atoms.get_volume() / 16)
        wall = 1 - 0.7 * np.exp(-(((y - 0.3) / 0.15) ** 2))
        return float(
            wall * np.exp(-((x / self.width) ** 2) / 2)
            + 10 * (x**2 - 0.16) ** 2
            + 0.2 * max(0, abs(y) - 0.3) ** 2
        )

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        energy = self.value(atoms)
        self.results = {"energy": energy, "free_energy": energy}
        self.results["forces"] = np.zeros((len(atoms), 3))
        if "stress" in properties:
            probe = Atoms(atoms)
            probe.calc = Pass(self.width)
            self.results["stress"] = calculate_numerical_stress(probe, 1e-5, voigt=True)


def cell(x: float, y: float) -> Atoms:
    a = (16 * np.exp(y) / (2 * np.exp(x))) ** (1 / 3)
    return Atoms("He", cell=[a, a, 2 * a * np.exp(x)], pbc=True)


def grid(width: float, step: float) -> tuple:
    """Graph of cells that lie on both sides of the wall, none of them on it."""
    xs, ys = np.arange(-0.45, 0.46, 0.1), np.arange(-0.1, 0.51, 0.1)
    xy = np.array([(x, y) for x in xs for y in ys])
    frames = from_atoms([cell(x, y) for x, y in xy])
    reach = Reach(sS=0.15, Q6=0.15, distance=0.6, candidates=20, step=step)
    graph = make_graph(frames, xy, Surface(Pass(width)), reach)
    ends = [int(np.argmin(np.linalg.norm(xy - p, axis=1))) for p in ((-0.45, 0), (0.45, 0))]
    return graph, xy, ends


def test_the_path_goes_through_the_pass_that_only_the_ways_between_frames_see():
    graph, xy, (start, end) = grid(width=0.012, step=0.02)
    # No frame feels the wall, so without a look between them all paths look flat.
    assert graph.enthalpies.max() < 0.3
    path = minimax_path(graph, start, end)
    profile = measure(trace(graph, path), graph.surface, Landscape(cutoff=3.0), 0.02)
    crossing = xy[path][np.abs(xy[path, 0]) < 0.1]
    assert crossing[:, 1] == pytest.approx(0.3)
    height = 0.3 + 10 * 0.16**2  # the wall in the pass, and the double well under it
    assert profile.table["enthalpy"].max() + graph.enthalpies[start] == pytest.approx(
        height, abs=0.03
    )
    assert profile.table.loc[profile.table["enthalpy"].idxmax(), "kind"] == "between"
    coarse = grid(width=0.012, step=10.0)[0]
    blind = measure(
        trace(coarse, minimax_path(coarse, start, end)), coarse.surface, Landscape(cutoff=3.0), 10
    )
    assert blind.barrier < 10 * 0.16**2 < profile.barrier - 0.2


def test_the_lowest_maximum_equals_that_of_all_edges_measured():
    """Oracle: raise the water edge by edge until both ends are joined (Kruskal)."""
    graph, _, (start, end) = grid(width=0.05, step=0.05)
    profile = measure(
        trace(graph, minimax_path(graph, start, end)), graph.surface, Landscape(cutoff=3.0), 0.05
    )
    group = list(range(len(graph.images)))
    edges = [
        (way.highest, i, int(j))
        for i, close in enumerate(graph.neighbours)
        for j in close
        if (way := graph.way(i, int(j))) is not None
    ]
    edges.sort(reverse=True)
    while group[start] != group[end]:
        height, i, j = edges.pop()
        group = [group[i] if g == group[j] else g for g in group]
    assert profile.barrier + graph.enthalpies[start] == pytest.approx(height, abs=1e-6)


def test_no_chain_of_neighbours_is_an_error():
    xy = np.array([(-0.4, 0.0), (0.4, 0.0)])
    graph = make_graph(
        from_atoms([cell(x, y) for x, y in xy]), xy, Surface(Pass(0.1)), Reach(sS=0.1, Q6=0.1)
    )
    with pytest.raises(StageError, match="no chain of neighbouring frames"):
        minimax_path(graph, 0, 1)
    mixed = from_atoms([cell(0, 0), cell(0, 0).repeat((2, 1, 1))])
    with pytest.raises(StageError, match=r"frame 1 \(He2\) and frame 0 \(He\)"):
        make_graph(mixed, xy, Surface(Pass(0.1)), Reach())


def test_the_band_slides_into_the_pass():
    surface = Surface(Pass(0.15))
    path = [cell(-0.4, 0.0), cell(0.0, 0.1), cell(0.4, 0.0)]
    band = relax_band(path, surface, BandSettings(images=9, fmax=0.003, steps=2000))
    # Double well and wall at x = 0, y = 0.3, above the start.
    height = 0.3 + 10 * 0.16**2 - surface.enthalpy(path[0])
    assert band.converged
    assert band.enthalpies.max() - band.enthalpies[0] == pytest.approx(height, abs=2e-3)


def test_generalised_forces_are_derivatives_under_pressure():
    surface = Surface(TERSOFF.calculator(), 20 * GPa)
    atoms = carbon("diamond")
    origin = Undeformed.of(atoms)
    rng = np.random.default_rng(5)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.05, (3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
    state = origin.encode(atoms)
    assert align(origin.decode(state), atoms).distance == pytest.approx(0, abs=1e-6)
    particle = Atoms(f"X{len(state)}", positions=state)
    particle.calc = StateCalculator(origin, surface)
    forces = particle.get_forces()
    for _ in range(5):
        direction = rng.normal(0, 1, state.shape)
        direction[-3:] += direction[-3:].T
        ends = []
        for side in (1, -1):
            particle.positions = state + side * 1e-5 * direction
            ends.append(particle.get_potential_energy())
        slope = (ends[0] - ends[1]) / 2e-5
        assert slope == pytest.approx(-np.sum(forces * direction), rel=1e-4)


def test_a_path_that_is_known_joins_frames_that_are_no_candidates():
    xs = np.linspace(-0.4, 0.4, 9)
    xy = np.stack([xs, 0 * xs], axis=1)
    frames = from_atoms([cell(x, 0) for x in xs])
    near = Reach(sS=0.01, Q6=0.01, distance=0.6, step=0.05)
    surface = Surface(Pass(0.1))
    with pytest.raises(StageError, match="no chain"):
        minimax_path(make_graph(frames, xy, surface, near), 0, 8)
    graph = make_graph(frames, xy, surface, near, chain=np.arange(9))
    assert minimax_path(graph, 0, 8) == list(range(9))


def test_refinement_lowers_the_straight_way_and_sees_no_gap():
    """From ABC graphite to diamond, straight: squeezed and buckled at the same time."""
    surface, landscape = Surface(TERSOFF.calculator()), Landscape(cutoff=1.85)
    ends = pathway("ABC-diamond", 2)
    straight = measure(ends, surface, landscape, 0.05)
    settings = Refinement(rounds=3, mutants=150, reach=Reach(distance=0.5, step=0.05))
    constraints = Constraints(volume_window=(0.5, 1.8), angle_window=(30, 150))
    barriers = [straight.barrier]
    better = refine(
        straight, surface, landscape, settings, constraints, 1,
        lambda number, profile: barriers.append(profile.barrier),
    )  # fmt: skip
    assert len(barriers) == 4
    assert all(after <= before + 1e-6 for before, after in pairwise(barriers))
    assert better.barrier < 0.97 * straight.barrier
    # Points in between, which the search did not look at, hide no more than their distance lets.
    fine = measure(better.images, surface, landscape, 0.01)
    assert fine.barrier < better.barrier + 0.1
    for k in (0, -1):
        assert align(better.images[k], ends[k]).distance == pytest.approx(0, abs=1e-3)
    again = refine(straight, surface, landscape, settings, constraints, 1)
    assert again.barrier == pytest.approx(better.barrier, abs=1e-9)


def test_a_path_that_shears_on_and_on_is_traced():
    """Frames come with their shortest lattice vectors; along the path those get ever longer."""
    inside = np.random.default_rng(7).random((4, 3))
    frames = []
    for shear in 0.2 * np.arange(14):
        lattice = np.array([[3.0, 0, 0], [3.0 * shear, 3.2, 0], [0, 0, 3.4]])
        atoms = Atoms("HeNeArKr", scaled_positions=inside, cell=lattice, pbc=True)
        lattice[1, 0] -= 3.0 * np.rint(shear)
        atoms.set_cell(lattice)
        atoms.wrap()
        frames.append(atoms)
    xy = np.stack([np.arange(14.0), np.zeros(14)], axis=1)
    reach = Reach(sS=1.5, Q6=1, distance=1.0, candidates=2, step=0.5)
    graph = make_graph(from_atoms(frames), xy, Surface(Pass(1.0)), reach)
    images = trace(graph, list(range(14)))
    for k, (before, after) in enumerate(pairwise(images)):
        assert follow(before, after).distance == pytest.approx(
            graph.way(k, k + 1).alignment.distance, rel=0.02
        )
    # Thirteen steps of 0.6 Å in 3.2 Å.
    assert images[-1].cell.lengths()[1] == pytest.approx(np.hypot(7.8, 3.2), rel=1e-6)
    back = trace(graph, list(range(13, -1, -1)))
    first, last = pair_shells(from_atoms([frames[0], back[-1]]))
    assert last == pytest.approx(first, abs=1e-6)
