"""The way through a set of frames whose highest point is lowest.

Frames are the nodes of a graph.  Two are neighbours if they are near each other on the
landscape and the way from one to the other (`alignment.align`) is short.  What an edge
costs is the highest enthalpy along that way, looked at in small steps, so that no
barrier between two frames is jumped.  The path with the lowest maximum is found by growing
from the start over the cheapest edge, as Prim's algorithm does; an edge is measured only
when nothing cheaper is left, which is exact because it costs at least what its ends do.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from ..errors import StageError
from ..frames import Frames
from .alignment import Alignment, align, comparable
from .fingerprint import fingerprints
from .surface import Surface


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
    surface : Surface
    reach : Reach
    ways : dict
        (i, j) with i < j to a Way, or None if the two are too far apart.
    """

    images: list[Atoms]
    enthalpies: np.ndarray
    neighbours: list[np.ndarray]
    surface: Surface
    reach: Reach
    ways: dict[tuple[int, int], Way | None] = field(default_factory=dict)

    def way(self, i: int, j: int) -> Way | None:
        """Measured edge between two frames, or None if they are too far apart."""
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
        between = [found.at(start, k / n) for k in range(1, n)]
        inner = self.surface.enthalpies(between)
        ends = self.enthalpies[[i, j]]
        return Way(found, np.concatenate([ends[:1], inner, ends[1:]]))


def make_graph(frames: Frames, xy: np.ndarray, surface: Surface, reach: Reach) -> Graph:
    """Graph of frames on the landscape, nothing measured yet but the frames.

    Parameters
    ----------
    frames : Frames
        Of one composition and number of atoms, periodic in all directions.
    xy : ndarray, shape (n, 2)
        sS and Q6 of the frames.
    surface : Surface
    reach : Reach

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
    scaled = xy / np.array([reach.sS, reach.Q6])
    prints = fingerprints(images)
    inside = cKDTree(scaled).query_ball_point(scaled, 1.0)
    found: list[set[int]] = [set() for _ in images]
    for i, close in enumerate(inside):
        others = np.array([j for j in close if j != i], dtype=np.int64)
        unlike = np.linalg.norm(prints[others] - prints[i], axis=1)
        for j in others[np.argsort(unlike, kind="stable")[: reach.candidates]].tolist():
            found[i].add(j)
            found[j].add(i)
    neighbours = [np.array(sorted(close), dtype=np.int64) for close in found]
    return Graph(images, surface.of_frames(frames), neighbours, surface, reach)


def lowest_maximum(graph: Graph, start: int, end: int) -> float | None:
    """Lowest possible maximum of the enthalpy between two frames, eV, or None without path.

    Every edge below that maximum that can be reached from `start` is measured afterwards.
    """
    settled = {start}
    highest = float(graph.enthalpies[start])
    # Entries: cost or a lower bound of it, whether it is measured, from, to.
    queue = _edges_of(graph, start)
    heapq.heapify(queue)
    while queue and (end not in settled or queue[0][0] <= highest):
        cost, measured, i, j = heapq.heappop(queue)
        if not measured:
            way = graph.way(i, j)
            if way is not None:
                heapq.heappush(queue, (way.highest, True, i, j))
        elif j not in settled:
            settled.add(j)
            highest = max(highest, cost)
            for edge in _edges_of(graph, j):
                heapq.heappush(queue, edge)
    return highest if end in settled else None


def _edges_of(graph: Graph, i: int) -> list[tuple[float, bool, int, int]]:
    bounds = np.maximum(graph.enthalpies[i], graph.enthalpies[graph.neighbours[i]])
    return [
        (bound, False, i, j)
        for bound, j in zip(bounds.tolist(), graph.neighbours[i].tolist(), strict=True)
    ]


def minimax_path(graph: Graph, start: int, end: int) -> list[int]:
    """Frames from `start` to `end` along a path of lowest maximum.

    Of all such paths the one with the smallest integral of the enthalpy above its lowest
    value, over the distance.

    Raises
    ------
    StageError
        No chain of neighbours joins the two.
    """
    highest = lowest_maximum(graph, start, end)
    if highest is None:
        raise StageError(
            "no chain of neighbouring frames joins the two ends: generate more frames between "
            "them, or allow longer ways (Reach)"
        )
    lowest = float(graph.enthalpies.min())
    open_ways = {
        pair: way
        for pair, way in graph.ways.items()
        if way is not None and way.highest <= highest + 1e-9
    }
    pairs = np.array(list(open_ways)).reshape(-1, 2)
    # Nothing costs nothing: a sparse matrix takes zero for no edge.
    costs = [
        max(1e-12, way.alignment.distance * (float(way.enthalpies.mean()) - lowest))
        for way in open_ways.values()
    ]
    n = len(graph.images)
    matrix = csr_array((costs, (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, before = dijkstra(matrix, directed=False, indices=start, return_predecessors=True)
    path = [end]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    return path[::-1]
