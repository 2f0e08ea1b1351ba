"""Steinhardt Q6: bonds, and the norm of their spherical harmonics (Eqs. 1 to 5).

Y_6m is even, so one bond serves both of its ends: q_6m averaged over the atoms is the sum
over bonds of (1/Nb(i) + 1/Nb(j)) Y_6m / N.  Bonds are collected first, which gives Nb, and
then run through the thirteen polynomials together; there is no trigonometry.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit, uint64

from .candidates import closer, gather
from .images import FAST, FOUR, INNER, ONE, OWNER, Neighbourhood, Y, Z

N_Y6 = 13
"""Real components of q_6m: m = 0, then real and imaginary parts of m = 1 to 6."""

ATOMS_PER_CELL, LAYERS = 4.0, 1
"""Cells of the bond pass, where the reach is short (measured optimum)."""

SMALL = 128
"""Up to so many atoms every pair is looked at, where the nearest image of each will do."""

OVERLAP = 1e-6
"""Atoms closer than this (Å) share one place: their bond has no direction."""

# Orthonormal Y_6m without the Condon-Shortley sign, which drops out of Q6.
_C0 = math.sqrt(13 / math.pi) / 32
_C1 = math.sqrt(273 / (2 * math.pi)) / 16
_C2 = math.sqrt(1365 / math.pi) / 64
_C3 = math.sqrt(1365 / math.pi) / 32
_C4 = 3 * math.sqrt(91 / (2 * math.pi)) / 32
_C5 = 3 * math.sqrt(1001 / math.pi) / 32
_C6 = math.sqrt(3003 / math.pi) / 64


@njit(forceinline=True, **INNER)
def y6(x, y, z, squared):  # type: ignore[no-untyped-def]
    """The 13 components of Y_6m of the direction (x, y, z), as polynomials over r^6."""
    inverse = 1 / squared
    z2 = z * z * inverse
    scale = math.sqrt(inverse)
    x, y, z = x * scale, y * scale, z * scale
    c2, s2 = x * x - y * y, 2 * x * y  # real and imaginary part of (x + iy)^m
    c3, s3 = c2 * x - s2 * y, c2 * y + s2 * x
    c4, s4 = c2 * c2 - s2 * s2, 2 * c2 * s2
    c5, s5 = c4 * x - s4 * y, c4 * y + s4 * x
    c6, s6 = c3 * c3 - s3 * s3, 2 * c3 * s3
    f0 = _C0 * (((231 * z2 - 315) * z2 + 105) * z2 - 5)
    f1 = _C1 * z * ((33 * z2 - 30) * z2 + 5)
    f2 = _C2 * ((33 * z2 - 18) * z2 + 1)
    f3 = _C3 * z * (11 * z2 - 3)
    f4 = _C4 * (11 * z2 - 1)
    f5 = _C5 * z
    return (
        f0, f1 * x, f1 * y, f2 * c2, f2 * s2, f3 * c3, f3 * s3,
        f4 * c4, f4 * s4, f5 * c5, f5 * s5, _C6 * c6, _C6 * s6,
    )  # fmt: skip


@njit(**INNER)
def norm_q6(q: np.ndarray) -> float:
    """Steinhardt norm sqrt(4 pi / 13 sum_m |q_6m|^2) of 13 real components (Eq. 3)."""
    total = q[0] * q[0]
    for k in range(1, N_Y6):
        total += 2 * q[k] * q[k]  # m and -m
    return math.sqrt(4 * math.pi / N_Y6 * total)


class Bonds(NamedTuple):
    """Buffer of bonds: the atoms at both ends; vector between them (Å), and a weight."""

    ends: np.ndarray
    vectors: np.ndarray


@njit(**INNER)
def _drop_overlaps(bonds: Bonds, n: int, n_bonds: np.ndarray, shared: np.ndarray) -> int:
    """Remove the bonds without a direction (`OVERLAP`) and mark their atoms in `shared`.

    Returns how many bonds are left.
    """
    kept = 0
    for b in range(n):
        x, y, z = bonds.vectors[0, b], bonds.vectors[1, b], bonds.vectors[2, b]
        i, j = bonds.ends[0, b], bonds.ends[1, b]
        if x * x + y * y + z * z <= OVERLAP * OVERLAP:
            n_bonds[i] -= 1
            n_bonds[j] -= 1
            shared[i] = shared[j] = 1
            continue
        bonds.ends[0, kept], bonds.ends[1, kept] = i, j
        bonds.vectors[0, kept], bonds.vectors[1, kept], bonds.vectors[2, kept] = x, y, z
        kept += 1
    return kept


@njit(**INNER)
def nearest_images_suffice(n_atoms: int, inv: np.ndarray, pbc: np.ndarray, cutoff: float) -> bool:
    """Whether `bonds_of_nearest_images` finds all bonds, and faster than cells do."""
    if n_atoms > SMALL:
        return False
    for k in range(3):
        # 1 / height of the cell along k; a bond is shorter than half the height.
        height = inv[0, k] ** 2 + inv[1, k] ** 2 + inv[2, k] ** 2
        if pbc[k] and 4 * cutoff * cutoff * height > 1:
            return False
    return True


@njit(fastmath=FAST, **INNER)
def _nearest_images(
    fractional: np.ndarray, cell: np.ndarray, periodic: np.ndarray, i: int, found: np.ndarray
) -> None:
    """Vectors from atom `i` to the nearest images of those behind it, and their squares."""
    fx, fy, fz = fractional[0], fractional[1], fractional[2]
    dx, dy, dz, squared = found[0], found[1], found[2], found[3]
    a0, a1, a2 = cell[0, 0], cell[0, 1], cell[0, 2]
    b0, b1, b2 = cell[1, 0], cell[1, 1], cell[1, 2]
    c0, c1, c2 = cell[2, 0], cell[2, 1], cell[2, 2]
    p0, p1, p2 = periodic[0], periodic[1], periodic[2]
    x0, y0, z0 = fx[i], fy[i], fz[i]
    for j in range(uint64(i) + ONE, uint64(fx.shape[0])):
        u, v, w = fx[j] - x0, fy[j] - y0, fz[j] - z0
        u -= p0 * math.floor(u + 0.5)
        v -= p1 * math.floor(v + 0.5)
        w -= p2 * math.floor(w + 0.5)
        x, y, z = u * a0 + v * b0 + w * c0, u * a1 + v * b1 + w * c1, u * a2 + v * b2 + w * c2
        dx[j], dy[j], dz[j] = x, y, z
        squared[j] = x * x + y * y + z * z


@njit(**INNER)
def bonds_of_nearest_images(
    positions: np.ndarray, cell: np.ndarray, inv: np.ndarray, pbc: np.ndarray, cutoff: float,
    bonds: Bonds, n_bonds: np.ndarray, shared: np.ndarray, scratch: np.ndarray,
) -> tuple[int, float]:  # fmt: skip
    """All bonds of a small frame, one image per pair: see :func:`collect_bonds`.

    `bonds` has room for every pair, `scratch` for 7 n_atoms + 3 numbers.
    """
    n = positions.shape[0]
    fractional, found = scratch[: 3 * n].reshape(3, n), scratch[3 * n : 7 * n].reshape(4, n)
    periodic = scratch[7 * n : 7 * n + 3]
    for k in range(3):
        periodic[k] = 1.0 if pbc[k] else 0.0
        for i in range(n):
            fractional[k, i] = (
                positions[i, 0] * inv[0, k]
                + positions[i, 1] * inv[1, k]
                + positions[i, 2] * inv[2, k]
            )
    bi, bj = bonds.ends[0], bonds.ends[1]
    bx, by, bz = bonds.vectors[0], bonds.vectors[1], bonds.vectors[2]
    dx, dy, dz, squared = found[0], found[1], found[2], found[3]
    limit = cutoff * cutoff
    nearest = math.inf
    b = uint64(0)
    for i in range(uint64(n)):
        _nearest_images(fractional, cell, periodic, i, found)
        start = b
        for j in range(i + ONE, uint64(n)):
            bj[b] = j  # kept only if counted: no branch to mispredict
            b += uint64(squared[j] < limit)
        n_bonds[i] += b - start
        for c in range(start, b):
            j = uint64(bj[c])
            nearest = min(nearest, squared[j])
            n_bonds[j] += 1
            bi[c], bx[c], by[c], bz[c] = i, dx[j], dy[j], dz[j]
    if nearest <= OVERLAP * OVERLAP:
        b = uint64(_drop_overlaps(bonds, b, n_bonds, shared))
    return b, nearest


@njit(**INNER)
def add_bonds(bonds: Bonds, n: int, sums: np.ndarray) -> None:
    """Add the Y_6m of `n` bonds to the sums of both atoms; `sums` has shape (n_atoms, 13)."""
    for b in range(n):
        x, y, z = bonds.vectors[0, b], bonds.vectors[1, b], bonds.vectors[2, b]
        i, j = bonds.ends[0, b], bonds.ends[1, b]
        terms = y6(x, y, z, x * x + y * y + z * z)
        for k in range(N_Y6):
            sums[i, k] += terms[k]
            sums[j, k] += terms[k]


@njit(**INNER)
def collect_bonds(
    found: Neighbourhood, cutoff: float, bonds: Bonds, n_bonds: np.ndarray, shared: np.ndarray,
    sums: np.ndarray,
) -> tuple[int, float, np.ndarray]:  # fmt: skip
    """Bonds of a frame into `bonds`, their number per atom into `n_bonds`.

    Where the buffer is full, its bonds are added up in `sums` (made here if it is empty)
    and it starts anew.  Atoms that share one place have no bond, but a mark in `shared`.

    Returns
    -------
    n : int
        Bonds in the buffer.
    nearest : float
        Smallest squared distance below the cutoff, Å^2; infinite if there is none.
    sums : ndarray, shape (n_atoms, 13), or empty if all bonds are in the buffer
    """
    point, squared, index = found.candidates, found.squared, found.index
    bi, bj = bonds.ends[0], bonds.ends[1]
    bx, by, bz = bonds.vectors[0], bonds.vectors[1], bonds.vectors[2]
    limit, tiny = cutoff * cutoff, OVERLAP * OVERLAP
    nearest = math.inf
    b = uint64(0)
    for g in range(found.groups.shape[0]):
        m = gather(found, g)
        for k in range(uint64(found.groups[g, 1] - found.groups[g, 0])):
            count = uint64(closer(found, k, k + ONE, m, limit))
            if b + count > uint64(bi.shape[0]):
                if sums.shape[0] == 0:
                    sums = np.zeros((n_bonds.shape[0], N_Y6))
                if nearest <= tiny:
                    b = uint64(_drop_overlaps(bonds, b, n_bonds, shared))
                add_bonds(bonds, b, sums)
                b = uint64(0)
            q = FOUR * k
            i, x, y, z = uint64(point[q + OWNER]), point[q], point[q + Y], point[q + Z]
            n_bonds[i] += count
            for c in range(count):
                q = FOUR * uint64(index[c])
                j = uint64(point[q + OWNER])
                nearest = min(nearest, squared[c])
                n_bonds[j] += 1
                bi[b], bj[b] = i, j
                bx[b], by[b], bz[b] = point[q] - x, point[q + Y] - y, point[q + Z] - z
                b += ONE
    if nearest <= tiny:
        b = uint64(_drop_overlaps(bonds, b, n_bonds, shared))
    return b, nearest, sums


@njit(fastmath=FAST, **INNER)
def _weighted(vectors: np.ndarray, n: int, out: np.ndarray) -> None:
    """Sums over bonds of weight times Y_6m into `out` (13); a loop that vectorises."""
    x, y, z, w = vectors[0], vectors[1], vectors[2], vectors[3]
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = a8 = a9 = a10 = a11 = a12 = 0.0
    for b in range(uint64(n)):
        t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12 = y6(
            x[b], y[b], z[b], x[b] * x[b] + y[b] * y[b] + z[b] * z[b]
        )
        a0 += w[b] * t0
        a1 += w[b] * t1
        a2 += w[b] * t2
        a3 += w[b] * t3
        a4 += w[b] * t4
        a5 += w[b] * t5
        a6 += w[b] * t6
        a7 += w[b] * t7
        a8 += w[b] * t8
        a9 += w[b] * t9
        a10 += w[b] * t10
        a11 += w[b] * t11
        a12 += w[b] * t12
    out[0], out[1], out[2], out[3], out[4], out[5], out[6] = a0, a1, a2, a3, a4, a5, a6
    out[7], out[8], out[9], out[10], out[11], out[12] = a7, a8, a9, a10, a11, a12


@njit(**INNER)
def averaged_q6(bonds: Bonds, n: int, n_bonds: np.ndarray) -> float:
    """Q6 of the atom-averaged q_6m (Eqs. 1 to 5) from all `n` bonds of a frame."""
    n_atoms = n_bonds.shape[0]
    bi, bj, weight = bonds.ends[0], bonds.ends[1], bonds.vectors[3]
    for b in range(uint64(n)):
        ni, nj = float(n_bonds[uint64(bi[b])]), float(n_bonds[uint64(bj[b])])
        weight[b] = (ni + nj) / (ni * nj)
    total = np.empty(N_Y6)
    _weighted(bonds.vectors, n, total)
    return norm_q6(total) / n_atoms


@njit(**INNER)
def q6_of_sums(sums: np.ndarray, n_bonds: np.ndarray, mean: bool) -> float:
    """Q6 from the sums per atom: norm of the averaged q_6m, or mean of the local norms.

    An atom without a bond contributes q = 0 and stays in N.
    """
    n_atoms = sums.shape[0]
    average, one = np.empty(N_Y6), np.empty(N_Y6)
    average[:] = 0.0
    local = 0.0
    for i in range(n_atoms):
        if n_bonds[i] == 0:
            continue
        for k in range(N_Y6):
            one[k] = sums[i, k] / n_bonds[i]
            average[k] += one[k] / n_atoms
        if mean:
            local += norm_q6(one) / n_atoms
    return local if mean else norm_q6(average)
