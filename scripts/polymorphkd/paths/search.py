"""The way through a set of frames whose highest point is lowest.

Frames are the nodes of a graph.  Two are neighbours if they are near each other on the
landscape and the way from one to the other (`alignment.align`) is short.  What an edge
costs is the highest enthalpy along that way, looked at in small steps, so that no
barrier between two frames is jumped.  That is dear, so edges are measured only where a path
of lowest maximum may run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from ase import Atoms
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree

from ..errors import StageError
from ..frames import Frames
from .alignment import Alignment, align, comparable
from .shells import most_similar, pair_shells
from .surface import Surface

ANGSTROM_PER_UNLIKENESS = 1.0
"""Guess of the distance of two frames from the difference of their pair distances."""

TINY = 1e-12
"""Cost of a way without enthalpy or length; a sparse matrix takes zero for no edge."""


@dataclass(frozen=True)
class Reach:
    """Which frames are neighbours.

    Parameters
    ----------
    sS, Q6 : float
        Largest difference on the landscape, kB per atom and dimensionless, as the half
        axes of an ellipse.
    distance : float, Å
        Longest way between neighbours, see `alignment`.
    candidates : int
        Frames within the ellipse that are looked at, those of most similar pair
        distances first.
    step : float, Å
        Largest distance of points on a way at which the enthalpy is taken.
    """

    sS: float = 2.0
    Q6: float = 0.1
    distance: float = 1.0
    candidates: int = 24
    step: float = 0.1


@dataclass(frozen=True)
class Way:
    """A measured edge.

    Parameters
    ----------
    alignment : Alignment
        From the frame of lower index to that of higher index.
    enthalpies : ndarray, shape (n,), float64, eV
        Evenly along the way, both ends included.
    """

    alignment: Alignment
    enthalpies: np.ndarray

    @property
    def highest(self) -> float:
        """Highest enthalpy along the way, eV."""
        return float(self.enthalpies.max())


@dataclass
class Graph:
    """Neighbouring frames of one composition and size, measured as far as they were needed.

    Parameters
    ----------
    images : list of Atoms
    enthalpies : ndarray, shape (n,), float64, eV
    neighbours : list of ndarray
        Indices of the candidates of each frame.
    shells : ndarray, shape (n, n_bins)
        See `shells.pair_shells`.
    surface : Surface
    reach : Reach
    ceiling : float, eV
        What lies higher is not looked at.
    ways : dict
        (i, j) with i < j to a Way, or None; what was measured so far.
    """

    images: list[Atoms]
    enthalpies: np.ndarray
    neighbours: list[np.ndarray]
    shells: np.ndarray
    surface: Surface
    reach: Reach
    ceiling: float = np.inf
    ways: dict[tuple[int, int], Way | None] = field(default_factory=dict)

    def way(self, i: int, j: int) -> Way | None:
        """Measured edge between two frames; None if it is too long, or above the ceiling."""
        key = (min(i, j), max(i, j))
        if key not in self.ways:
            self.ways[key] = self._measured(*key)
        return self.ways[key]

    def _measured(self, i: int, j: int) -> Way | None:
        start = self.images[i]
        found = align(start, self.images[j], self.reach.distance)
        if found is None:
            return None
        n = max(1, int(np.ceil(found.distance / self.reach.step)))
        values = np.empty(n + 1)
        values[[0, n]] = self.enthalpies[[i, j]]
        # From the middle outwards: there a way over a wall is given up soonest.
        for k in sorted(range(1, n), key=lambda k: abs(2 * k - n)):
            values[k] = self.surface.enthalpy(found.at(start, k / n))
            if values[k] > self.ceiling:
                return None
        return Way(found, values)


def make_graph(
    frames: Frames,
    xy: np.ndarray,
    surface: Surface,
    reach: Reach,
    ceiling: float = np.inf,
    enthalpies: np.ndarray | None = None,
    chain: Sequence[int] | np.ndarray = (),
) -> Graph:
    """Graph of frames on the landscape, nothing measured yet but the frames.

    Parameters
    ----------
    frames : Frames
        Of one composition and number of atoms, periodic in all directions.
    xy : ndarray, shape (n, 2)
        sS and Q6 of the frames.
    surface : Surface
    reach : Reach
    ceiling : float, eV
        An enthalpy that the path need not exceed, for example the highest along any path
        that is known; higher frames and ways are left out, which saves most of the work.
    enthalpies : ndarray, shape (n,), float64, eV, optional
        Of the frames, if they are known.
    chain : sequence of int
        Frames that are candidates of the next one whatever lies nearer: a path that is known.

    Raises
    ------
    StageError
        The frames are not comparable with each other.
    """
    images = frames.to_atoms()
    odd = next((i for i, image in enumerate(images) if not comparable(images[0], image)), None)
    if odd is not None:
        raise StageError(
            f"frame {odd} ({images[odd].get_chemical_formula()}) and frame 0 "
            f"({images[0].get_chemical_formula()}) have not the same atoms, or not both are "
            "periodic in all directions: there is no path between them"
        )
    if enthalpies is None:
        enthalpies = surface.of_frames(frames)
    shells = pair_shells(frames)
    neighbours = _neighbours(shells, xy, enthalpies <= ceiling, reach)
    for i, j in pairwise(np.asarray(chain, dtype=np.int64).tolist()):
        neighbours[i] = np.union1d(neighbours[i], j)
        neighbours[j] = np.union1d(neighbours[j], i)
    return Graph(images, enthalpies, neighbours, shells, surface, reach, ceiling)


def _neighbours(
    shells: np.ndarray, xy: np.ndarray, allowed: np.ndarray, reach: Reach
) -> list[np.ndarray]:
    """Candidates of each allowed frame, as indices; none of the others."""
    rows = np.flatnonzero(allowed)
    places = xy[rows] / np.array([reach.sS, reach.Q6])
    found: list[set[int]] = [set() for _ in range(len(shells))]
    similar = most_similar(shells[rows], places, reach.candidates)
    for i, others in zip(rows.tolist(), similar, strict=True):
        for j in rows[others[others >= 0]].tolist():
            found[i].add(j)
            found[j].add(i)
    return [np.array(sorted(close), dtype=np.int64) for close in found]


def minimax_path(graph: Graph, start: int, end: int) -> list[int]:
    """Frames from `start` to `end` along a path of lowest maximum.

    An edge that is not measured yet costs at least what the higher of its ends does.  With
    these lower bounds the level is raised until both ends are joined below it; the edges of
    the most promising path below the level are measured, and so on, until all edges of such
    a path are (lazy search, Dellin & Srinivasa, ICAPS 2016).  Its maximum is then the
    lowest possible one.  Promising is a small integral of the enthalpy over the distance,
    which is guessed from the pair distances where it is not known.

    Raises
    ------
    StageError
        No chain of neighbours joins the two below the ceiling.
    """
    edges = _Edges.of(graph)
    level = -np.inf
    while True:
        level = max(level, edges.level_between(start, end))
        if not np.isfinite(level):
            raise StageError(
                "no chain of neighbouring frames joins the two ends: generate more frames "
                "between them, allow longer ways (Reach), or raise the ceiling"
            )
        path = edges.best_below(level, start, end)
        unknown = [pair for pair in pairwise(path) if not edges.measure(graph, *pair)]
        if not unknown:
            return path


@dataclass
class _Edges:
    """All edges of a graph in arrays, with bounds that become values as they are measured.

    heights (eV) are the highest enthalpies or lower bounds; costs are integrals of the
    enthalpy above the lowest frame over the distance, or guesses.
    """

    n: int
    index: dict[tuple[int, int], int]
    pairs: np.ndarray
    heights: np.ndarray
    costs: np.ndarray
    measured: np.ndarray
    lowest: float

    @classmethod
    def of(cls, graph: Graph) -> _Edges:
        pairs = np.array(
            [(i, j) for i, close in enumerate(graph.neighbours) for j in close.tolist() if i < j],
            dtype=np.int64,
        ).reshape(-1, 2)
        ends = graph.enthalpies[pairs]
        lowest = float(graph.enthalpies.min())
        unlike = np.linalg.norm(graph.shells[pairs[:, 0]] - graph.shells[pairs[:, 1]], axis=1)
        return cls(
            len(graph.images),
            {(i, j): k for k, (i, j) in enumerate(pairs.tolist())},
            pairs,
            ends.max(axis=1),
            ANGSTROM_PER_UNLIKENESS * unlike * (ends.mean(axis=1) - lowest) + TINY,
            np.zeros(len(pairs), dtype=bool),
            lowest,
        )

    def _matrix(self, values: np.ndarray, chosen: np.ndarray) -> csr_array:
        rows, columns = self.pairs[chosen].T
        return csr_array((values[chosen], (rows, columns)), shape=(self.n, self.n))

    def level_between(self, start: int, end: int) -> float:
        """Lowest height at which two frames are joined, eV; infinite if at none."""
        chosen = np.isfinite(self.heights)
        # The path in a minimum spanning tree has the lowest maximum; ranks are positive.
        _, ranks = np.unique(self.heights, return_inverse=True)
        tree = minimum_spanning_tree(self._matrix(ranks + 1.0, chosen))
        _, before = dijkstra(tree, directed=False, indices=start, return_predecessors=True)
        path = _walk_back(before, start, end)
        if path is None:
            return np.inf
        return max(self.heights[self.index[min(p), max(p)]] for p in pairwise(path))

    def best_below(self, level: float, start: int, end: int) -> list[int]:
        """Path of smallest cost over edges that are not higher than `level`."""
        matrix = self._matrix(self.costs, self.heights <= level)
        _, before = dijkstra(matrix, directed=False, indices=start, return_predecessors=True)
        path = _walk_back(before, start, end)
        assert path is not None, "the level joins both ends"
        return path

    def measure(self, graph: Graph, i: int, j: int) -> bool:
        """Measure an edge unless it was, and tell whether it was."""
        k = self.index[min(i, j), max(i, j)]
        if self.measured[k]:
            return True
        self.measured[k] = True
        way = graph.way(i, j)
        if way is None:
            self.heights[k] = np.inf
        else:
            self.heights[k] = way.highest
            excess = max(0.0, float(way.enthalpies.mean()) - self.lowest)
            self.costs[k] = way.alignment.distance * excess + TINY
        return False


def _walk_back(before: np.ndarray, start: int, end: int) -> list[int] | None:
    path = [end]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
        if path[-1] < 0:
            return None
    return path[::-1]
