"""The genes: displacement D, volume V and shape S, of many structures at once."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from ase.geometry import find_mic
from numba import njit
from scipy.spatial.transform import Rotation

from ..landscape.images import complete_cells
from ..settings import Amplitudes, Displacements
from .individuals import Structures

GENES = np.array(["D", "V", "S"])
GAUSSIAN, WAVE, SWAP, HOP, STILL = range(5)
"""Kinds of displacement; `STILL` is none."""

NAMES = ("D", "Dwave", "Dswap", "Dhop")
"""What a displacement is called in the column ``operator``."""

LONGEST_WAVE_VECTOR = 2
"""Largest component of a wave vector, in reciprocal vectors of the cell."""

TRIAL_VOIDS = 32
"""Random points among which a hopping atom takes the one farthest from all others."""


class Genes(NamedTuple):
    """What is to mutate in each of n structures.

    Parameters
    ----------
    on : ndarray, shape (n, 3), bool
        D, V, S.
    kind : ndarray, shape (n,), int64
        Kind of the displacement.
    scale : ndarray, shape (n,), float64
        Factor on all amplitudes.
    share : ndarray, shape (n,), float64
        Fraction of the atoms (or units) that a Gaussian displacement moves.
    """

    on: np.ndarray
    kind: np.ndarray
    scale: np.ndarray
    share: np.ndarray


def random_genes(
    pbc: np.ndarray,
    amplitudes: Amplitudes,
    displacements: Displacements,
    random: np.random.Generator,
) -> Genes:
    """Each gene with probability 1/2, at least one; V and S need a periodic direction.

    Parameters
    ----------
    pbc : ndarray, shape (n, 3), bool
    """
    n = len(pbc)
    on = random.random((n, 3)) < 0.5
    first = random.integers(3, size=n)
    none = ~on.any(axis=1)
    on[none, first[none]] = True
    on = possible_genes(on, pbc)
    weights = np.array(
        [displacements.gaussian, displacements.wave, displacements.swap, displacements.hop]
    )
    kind = random.choice(len(weights), size=n, p=weights / weights.sum())
    low, high = amplitudes.displaced_fraction
    return Genes(on, kind, np.ones(n), random.uniform(low, high, n))


def possible_genes(on: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Genes (n, 3) without those that change nothing: no V of clusters, no S of chains.

    A structure of which no gene is left displaces its atoms.
    """
    n_periodic = pbc.sum(axis=1)
    possible = on.copy()
    possible[n_periodic < 1, 1] = False
    possible[n_periodic < 2, 2] = False
    possible[on.any(axis=1) & ~possible.any(axis=1), 0] = True
    return possible


def mutate(
    structures: Structures, genes: Genes, amplitudes: Amplitudes, random: np.random.Generator
) -> np.ndarray:
    """Mutate `structures` in place.

    V and S strain along periodic directions only: of a slab the area, of a chain the length.

    Returns
    -------
    ndarray of str, shape (n,)
        The genes that mutated, for example ``D+S``.
    """
    pbc = structures.pbc
    n = len(pbc)
    change = random.uniform(-1, 1, n) * amplitudes.volume * genes.scale
    volume = np.where(genes.on[:, 1], np.maximum(1 + change, 0.05), 1.0)
    strain = random.normal(size=(n, 3, 3)) * (amplitudes.shear * genes.scale)[:, None, None]
    strain = (strain + strain.transpose(0, 2, 1)) / 2
    strain[~genes.on[:, 2]] = 0.0
    deformation = deformations(structures.cells, pbc, volume, strain)
    structures.cells[:] = structures.cells @ deformation
    kind = np.where(genes.on[:, 0], _possible(structures, genes.kind), STILL)
    size = amplitudes.displacement * genes.scale
    vectors = _wave_vectors(structures.cells, pbc, random)
    normals = random.standard_normal(structures.positions.shape)
    # Units of several atoms: fewer units than atoms.
    rigid = np.array([structures.units[structures.of(i)].max() + 1 for i in range(n)])
    rigid = rigid < np.diff(structures.offsets)
    _move(
        structures.offsets, rigid, deformation, kind, size, genes.share, vectors,
        random.standard_normal((n, 3)), random.uniform(0, 2 * math.pi, n), normals,
        random.random(len(structures.units)), structures.positions,
    )  # fmt: skip
    for i in np.flatnonzero(rigid).tolist():
        _move_units(
            structures,
            i,
            deformation[i],
            int(kind[i]),
            size[i],
            genes.share[i],
            vectors[i],
            random,
        )
    for i in np.flatnonzero(kind == SWAP).tolist():
        _swap(structures.numbers[structures.of(i)], genes.share[i], random)
    for i in np.flatnonzero(kind == HOP).tolist():
        _hop(structures.positions[structures.of(i)], structures.cells[i], pbc[i], random)
    return _operators(genes.on, kind)


def _operators(on: np.ndarray, kind: np.ndarray) -> np.ndarray:
    names = []
    for (_, volume, shape), k in zip(on.tolist(), kind.tolist(), strict=True):
        parts = [NAMES[k]] if k != STILL else []
        names.append("+".join(parts + ["V"] * volume + ["S"] * shape) or "D")
    return np.array(names, dtype=object)


def _possible(structures: Structures, kind: np.ndarray) -> np.ndarray:
    """Kinds with a Gaussian in place of what a structure cannot do."""
    kind = kind.copy()
    kind[(kind == WAVE) & ~structures.pbc.any(axis=1)] = GAUSSIAN
    for i in np.flatnonzero(kind == SWAP).tolist():
        numbers = structures.numbers[structures.of(i)]
        if (numbers == numbers[0]).all():
            kind[i] = GAUSSIAN
    return kind


def deformations(
    cells: np.ndarray, pbc: np.ndarray, volume: np.ndarray, strain: np.ndarray
) -> np.ndarray:
    """Deformation of positions and cells, as row vectors times a matrix, shape (n, 3, 3).

    Parameters
    ----------
    cells : ndarray, shape (n, 3, 3), Å
    pbc : ndarray, shape (n, 3), bool
    volume : ndarray, shape (n,)
        Factor on the volume (area, length) along the periodic directions.
    strain : ndarray, shape (n, 3, 3)
        Symmetric (Hencky) strain; its trace is left out, so it keeps the volume.
    """
    result = np.tile(np.eye(3), (len(cells), 1, 1))
    bulk = pbc.all(axis=1)
    result[bulk] = _stretch(strain[bulk], volume[bulk])
    for i in np.flatnonzero(pbc.any(axis=1) & ~bulk).tolist():
        q, _ = np.linalg.qr(cells[i][pbc[i]].T)  # orthonormal basis of the periodic directions
        inner = _stretch((q.T @ strain[i] @ q)[None], volume[i : i + 1])[0]
        result[i] += q @ (inner - np.eye(q.shape[1])) @ q.T
    return result


def _stretch(strain: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """exp of the traceless part of symmetric matrices (n, d, d), times volume^(1/d)."""
    d = strain.shape[-1]
    values, vectors = np.linalg.eigh(strain)
    values = np.exp(values - values.mean(axis=1, keepdims=True))
    values *= (volume ** (1 / d))[:, None]
    return (vectors * values[:, None, :]) @ vectors.transpose(0, 2, 1)


def _wave_vectors(cells: np.ndarray, pbc: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One wave vector (1/Å, with 2 pi) per cell that fits its periodic directions."""
    m = random.integers(-LONGEST_WAVE_VECTOR, LONGEST_WAVE_VECTOR + 1, (len(cells), 3))
    m = np.where(pbc, m, 0)
    zero = ~m.any(axis=1)
    m[zero, np.argmax(pbc[zero], axis=1)] = 1
    return 2 * math.pi * np.einsum("nij,nj->ni", np.linalg.inv(complete_cells(cells, pbc)), m)


@njit(cache=True, nogil=True)
def _move(  # type: ignore[no-untyped-def]
    offsets, rigid, deformation, kind, size, share, wave, direction, phase, normals, uniforms,
    positions,
):  # fmt: skip
    """Deform and displace in place, but for the structures of `rigid` units."""
    for f in range(len(offsets) - 1):
        a, b = offsets[f], offsets[f + 1]
        if rigid[f]:
            continue
        t = deformation[f]
        limit = _limit(uniforms[a:b], share[f]) if kind[f] == GAUSSIAN else 0.0
        for i in range(a, b):
            x, y, z = positions[i]
            for c in range(3):
                positions[i, c] = x * t[0, c] + y * t[1, c] + z * t[2, c]
            if kind[f] == GAUSSIAN and uniforms[i] <= limit:
                for c in range(3):
                    positions[i, c] += size[f] * normals[i, c]
            elif kind[f] == WAVE:
                amount = _wave(positions[i], wave[f], phase[f]) * size[f]
                for c in range(3):
                    positions[i, c] += amount * direction[f, c]


@njit(cache=True, nogil=True)
def _wave(position, wave, phase):  # type: ignore[no-untyped-def]
    """Amplitude of a standing wave whose mean square over a period is 1."""
    angle = position[0] * wave[0] + position[1] * wave[1] + position[2] * wave[2] + phase
    return math.sqrt(2.0) * math.cos(angle)


@njit(cache=True, nogil=True)
def _limit(uniforms, share):  # type: ignore[no-untyped-def]
    """The k-th smallest of the numbers, k being `share` of them and at least 1."""
    k = max(1, round(share * len(uniforms)))
    return np.partition(uniforms, k - 1)[k - 1]


def _move_units(
    structures: Structures, f: int, t: np.ndarray, kind: int, size: float, share: float,
    wave: np.ndarray, random: np.random.Generator,
) -> None:  # fmt: skip
    """Deform structure `f` by its units: centres follow `t`, units move and turn as a whole."""
    units = structures.units[structures.of(f)]
    positions = structures.positions[structures.of(f)]
    n = int(units.max()) + 1
    counts = np.bincount(units)
    centres = np.stack([np.bincount(units, positions[:, c]) / counts for c in range(3)], axis=1)
    offsets = positions - centres[units]
    new = centres @ t
    moved = np.zeros(n, dtype=bool)
    if kind == GAUSSIAN:
        moved[random.permutation(n)[: max(1, round(share * n))]] = True
        new[moved] += size * random.standard_normal((int(moved.sum()), 3))
    elif kind == WAVE:
        phase = new @ wave + random.uniform(0, 2 * math.pi)
        new += math.sqrt(2) * size * np.cos(phase)[:, None] * random.standard_normal(3)
    # Angles that move the atoms by about `size`; an atom alone has no radius and no angle.
    radii = np.sqrt(np.bincount(units, (offsets**2).sum(axis=1)) / counts)
    angles = np.divide(size, radii, out=np.zeros(n), where=moved & (radii > 1e-6))
    turns = Rotation.from_rotvec(angles[:, None] * random.standard_normal((n, 3)))
    positions[:] = new[units] + turns[units].apply(offsets)


def _swap(numbers: np.ndarray, share: float, random: np.random.Generator) -> None:
    """Exchange atoms of different species, `share` of the atoms and at least one pair."""
    for _ in range(max(1, round(share * len(numbers) / 2))):
        i = int(random.integers(len(numbers)))
        unlike = np.flatnonzero(numbers != numbers[i])
        j = int(unlike[random.integers(len(unlike))])
        numbers[i], numbers[j] = numbers[j], numbers[i]


def _hop(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, random: np.random.Generator
) -> None:
    """Move one atom to that of some random points which is farthest from the other atoms."""
    i = int(random.integers(len(positions)))
    others = np.delete(positions, i, axis=0)
    basis = complete_cells(cell[None], pbc[None])[0]
    if pbc.all():
        trials = random.random((TRIAL_VOIDS, 3)) @ basis
    else:  # in the box around the atoms, in which all open directions end
        low, high = positions.min(axis=0), positions.max(axis=0)
        trials = random.uniform(low, high, (TRIAL_VOIDS, 3))
    vectors = (trials[:, None] - others[None]).reshape(-1, 3)
    _, lengths = find_mic(vectors, basis, pbc)  # shortest image, in skewed cells too
    distance = lengths.reshape(len(trials), -1).min(axis=1)
    positions[i] = trials[int(np.argmax(distance))]
