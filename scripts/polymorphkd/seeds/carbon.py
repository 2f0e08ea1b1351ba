"""Carbon crystals with matched atoms: graphites, diamonds, all between them, and C60.

Graphite and diamond are both stacks of honeycomb layers (Fahy, Louie & Cohen, Phys. Rev. B
34, 1191 (1986)).  A flat stack with a wide gap is graphite; let every other atom of a
layer rise and sink until the layers touch, and it is diamond: cubic if the layers follow
each other as ABC, hexagonal (lonsdaleite) if one is the mirror image of the next.  So a
:class:`Stack` of layers describes each of them in the same cell and order of atoms, and
what lies between two of them is the stack with parameters in between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from scipy.spatial.transform import Rotation

GRAPHITE = (2.461, 3.354)
"""In-plane lattice constant a and distance of layers, Å (Trucano & Chen, Nature 258, 136)."""

DIAMOND_EDGE = 3.567
"""Edge of the conventional cell of cubic diamond, Å."""

C60_EDGE = 14.17
"""Edge of the conventional cell of fcc C60 at room temperature, Å (Heiney et al. 1991)."""

_A = DIAMOND_EDGE / math.sqrt(2)
_BILAYER = DIAMOND_EDGE / math.sqrt(3)
_TETRAHEDRAL = 0.25
"""Height difference in a layer over the distance of layers, where all bonds are equal."""


@dataclass(frozen=True)
class Stack:
    """Honeycomb layers along c, two atoms each.

    Parameters
    ----------
    shifts : tuple of float
        In-plane place of each layer, in steps of one bond along (1/3, 2/3); steps differ
        by 3 for the same place.
    drift : float
        Shift of the layer that follows the last, so of the top of the cell over its foot.
    a : float, Å
        In-plane lattice constant.
    spacing : float, Å
        Distance of layers.
    buckling : tuple of float
        Height of the second atom of a layer over the first, in units of `spacing`.
    """

    shifts: tuple[float, ...]
    drift: float
    a: float
    spacing: float
    buckling: tuple[float, ...]

    def atoms(self, repeat: tuple[int, int, int] = (1, 1, 1)) -> Atoms:
        """Periodic cell, repeated as told; atoms 2n and 2n + 1 make layer n."""
        n = len(self.shifts)
        plane = self.a * np.array([[1, 0, 0], [-0.5, math.sqrt(3) / 2, 0]])
        step = (plane[0] + 2 * plane[1]) / 3
        up = np.array([0, 0, self.spacing])
        cell = np.array([plane[0], plane[1], self.drift * step + n * up])
        positions = []
        for k, (shift, buckling) in enumerate(zip(self.shifts, self.buckling, strict=True)):
            for site, side in ((0, -0.5), (1, 0.5)):
                positions.append((shift + site) * step + (k + 0.5 + side * buckling) * up)
        return Atoms(f"C{2 * n}", positions=positions, cell=cell, pbc=True).repeat(repeat)

    def towards(self, other: Stack, share: float) -> Stack:
        """Stack that is `share` of the way to another one of as many layers."""

        def mix(x: float, y: float) -> float:
            return (1 - share) * x + share * y

        def mix_all(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, ...]:
            return tuple(mix(x, y) for x, y in zip(xs, ys, strict=True))

        return Stack(
            mix_all(self.shifts, other.shifts),
            mix(self.drift, other.drift),
            mix(self.a, other.a),
            mix(self.spacing, other.spacing),
            mix_all(self.buckling, other.buckling),
        )


def _flat(shifts: tuple[float, ...], drift: float) -> Stack:
    return Stack(shifts, drift, *GRAPHITE, (0.0,) * len(shifts))


def _buckled(shifts: tuple[float, ...], drift: float, signs: tuple[int, ...]) -> Stack:
    return Stack(shifts, drift, _A, _BILAYER, tuple(_TETRAHEDRAL * sign for sign in signs))


STACKS = {
    "graphite-AA": _flat((0, 0), 0),
    "graphite-AB": _flat((0, 2), 0),
    "graphite-ABC": _flat((0, 1), 2),
    "diamond": _buckled((0, 1), 2, (1, 1)),
    "lonsdaleite": _buckled((0, 0), 0, (1, -1)),
}
"""Two layers, four atoms each."""

PATHWAYS = {
    "ABC-diamond": (STACKS["graphite-ABC"], STACKS["diamond"]),
    "AA-lonsdaleite": (STACKS["graphite-AA"], STACKS["lonsdaleite"]),
    "AB-lonsdaleite": (replace(STACKS["graphite-AB"], shifts=(0, -1)), STACKS["lonsdaleite"]),
    "AB-diamond": (STACKS["graphite-AB"], replace(STACKS["diamond"], drift=-1)),
}
"""Start and end of which every atom has its shortest way; AB has to let layers slip."""


def carbon(name: str, repeat: tuple[int, int, int] = (1, 1, 1)) -> Atoms:
    """Graphite or diamond at room-temperature lattice constants.

    Parameters
    ----------
    name : str
        graphite-AA, graphite-AB, graphite-ABC, diamond or lonsdaleite, as two layers of
        two atoms.
    repeat : tuple of int
        Cells along each vector.

    Raises
    ------
    KeyError
        There is no such crystal.
    """
    return STACKS[name].atoms(repeat)


def pathway(name: str, n: int, repeat: tuple[int, int, int] = (1, 1, 1)) -> list[Atoms]:
    """Structures evenly from a graphite to a diamond, atom for atom.

    Parameters
    ----------
    name : str
        ABC-diamond, AA-lonsdaleite, AB-lonsdaleite or AB-diamond.
    n : int
        Number of structures, both ends included; at least 2.
    repeat : tuple of int

    Returns
    -------
    list of Atoms
        ``info["share"]`` runs from 0 to 1.

    Raises
    ------
    KeyError
        There is no such pathway.
    """
    start, end = PATHWAYS[name]
    images = []
    for share in np.linspace(0, 1, n):
        atoms = start.towards(end, float(share)).atoms(repeat)
        atoms.info["share"] = float(share)
        images.append(atoms)
    return images


def fullerite(
    repeat: tuple[int, int, int], rng: np.random.Generator, edge: float = C60_EDGE
) -> Atoms:
    """Crystal of C60 molecules on fcc sites, each turned at random as at room temperature.

    Parameters
    ----------
    repeat : tuple of int
        Conventional cells of four molecules along each axis; (2, 2, 2) has 1,920 atoms.
    rng : Generator
        Orientations.
    edge : float, Å
        Edge of the conventional cell.
    """
    sites = bulk("C", "fcc", edge, cubic=True).repeat(repeat)
    ball = molecule("C60").positions
    ball -= ball.mean(axis=0)
    turns = Rotation.random(len(sites), random_state=rng)
    positions = np.concatenate(
        [site + turn.apply(ball) for site, turn in zip(sites.positions, turns, strict=True)]
    )
    return Atoms(f"C{len(positions)}", positions=positions, cell=sites.cell, pbc=True)
