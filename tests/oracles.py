"""The definitions of sS and Q6 once more, written for clarity and not for speed."""

from __future__ import annotations

import math

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from polymorphkd.frames import from_atoms
from scipy.special import sph_harm_y

SIGMA, RMAX = 0.1, 8.0


def kept(atoms: Atoms) -> Atoms:
    """The same configuration with the 1e-8 Å that a frame keeps."""
    return from_atoms([atoms]).atoms(0)


def q6m(vectors: np.ndarray) -> np.ndarray:
    """Sum of Y_6m over bonds, shape (13,), by scipy's spherical harmonics; (n, 3) in."""
    lengths = np.linalg.norm(vectors, axis=1)
    theta = np.arccos(np.clip(vectors[:, 2] / lengths, -1, 1))
    phi = np.arctan2(vectors[:, 1], vectors[:, 0])
    return sph_harm_y(6, np.arange(-6, 7)[:, None], theta, phi).sum(axis=1)


def steinhardt(q: np.ndarray) -> np.ndarray:
    """Norm of Eq. 3 over the last axis."""
    return np.sqrt(4 * np.pi / 13 * np.sum(np.abs(q) ** 2, axis=-1))


def local_q6m(atoms: Atoms, cutoff: float) -> np.ndarray:
    """q_6m of every atom, shape (n, 13); 0 where an atom has no bond."""
    i, vectors = neighbor_list("iD", kept(atoms), cutoff)
    sums = np.array([q6m(vectors[i == a]) for a in range(len(atoms))])
    return sums / np.maximum(np.bincount(i, minlength=len(atoms)), 1)[:, None]


def smoothed(distances: np.ndarray, r: np.ndarray, sigma: float) -> np.ndarray:
    """Sum of normalised Gaussians around the distances at the nodes `r`, 1/Å."""
    gauss = np.exp(-((r[:, None] - distances) ** 2) / (2 * sigma**2)).sum(axis=1)
    return gauss / (math.sqrt(2 * np.pi) * sigma)


def integrated(g: np.ndarray, r: np.ndarray, density: float) -> float:
    """Eq. 6 by trapezoids, kB; where g vanishes the integrand is r^2."""
    integrand = r**2 * np.where(g < 1e-12, 1.0, g * np.log(np.maximum(g, 1e-300)) - g + 1)
    return -2 * np.pi * density * np.trapezoid(integrand, r)


def entropy(
    distances: np.ndarray, n: float, density: float, sigma: float = SIGMA, rmax: float = RMAX
) -> float:
    """Eq. 6 of the `distances` of `n` atoms to others of `density`, kB."""
    r = np.linspace(0, rmax, round(4 * rmax / sigma) + 1)
    g = np.zeros_like(r)
    g[1:] = smoothed(distances, r[1:], sigma) / (4 * np.pi * n * density * r[1:] ** 2)
    return integrated(g, r, density)


def oracle(
    atoms: Atoms, cutoff: float, sigma: float = SIGMA, rmax: float = RMAX, mean: bool = False
) -> tuple[float, float]:
    """sS and Q6 straight from Eqs. 1-7."""
    q = local_q6m(atoms, cutoff)
    q6 = steinhardt(q).mean() if mean else steinhardt(q.mean(axis=0))
    atoms = kept(atoms)
    distances = neighbor_list("d", atoms, rmax + 5 * sigma)
    n = len(atoms)
    return entropy(distances, n, n / atoms.get_volume(), sigma, rmax), float(q6)


def local_oracle(atoms: Atoms, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """sS and q6 around each atom, shape (n,) both."""
    i, d = neighbor_list("id", kept(atoms), RMAX + 5 * SIGMA)
    density = len(atoms) / atoms.get_volume()
    entropies = [entropy(d[i == a], 1, density) for a in range(len(atoms))]
    return np.array(entropies), steinhardt(local_q6m(atoms, cutoff))


def pair_entropy(atoms: Atoms) -> float:
    """Sum over species pairs of x_a x_b S_ab, pair by pair."""
    atoms = kept(atoms)
    i, j, d = neighbor_list("ijd", atoms, RMAX + 5 * SIGMA)
    numbers, n, volume = atoms.numbers, len(atoms), atoms.get_volume()
    total = 0.0
    for a in np.unique(numbers):
        for b in np.unique(numbers):
            n_a, n_b = np.sum(numbers == a), np.sum(numbers == b)
            these = d[(numbers[i] == a) & (numbers[j] == b)]
            # S_ab has N / V in front of the integral, `entropy` the density of b.
            s_ab = entropy(these, n_a, n_b / volume) * n / n_b
            total += n_a / n * n_b / n * s_ab
    return total
