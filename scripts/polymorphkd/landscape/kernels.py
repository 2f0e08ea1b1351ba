"""Landscape points of frames in flat arrays: the compiled entry points of this room."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from . import bonds as _bonds
from . import radial as _radial
from .bonds import (
    N_Y6,
    Bonds,
    add_bonds,
    averaged_q6,
    bonds_of_nearest_images,
    collect_bonds,
    nearest_images_suffice,
    q6_of_sums,
)
from .images import INNER, OUTER, inverse, neighbourhood
from .radial import BINS_PER_STEP, GAUSSIAN_REACH, entropy_integral, pair_density, pair_moments

SS, Q6, N_ISOLATED, N_OVERLAPPING, MIN_DISTANCE, N_OUT = range(6)
"""Columns of the output of :func:`map_frames`."""

BONDS_PER_ATOM = 12
"""Room for bonds; where they are more, they are added up per atom as the room is full."""

_RADIAL = (_radial.ATOMS_PER_CELL, _radial.LAYERS)
_BONDS = (_bonds.ATOMS_PER_CELL, _bonds.LAYERS)


class Recipe(NamedTuple):
    """What the kernels need to know of the settings.

    cutoff (Å) of the bonds, 0 leaves Q6 out; mean of the local Q6 instead of the norm of
    the average; density (1/Å^3) of frames that are not periodic in all directions, 0 if
    unknown; width of the Gaussians, spacing of the r grid (Å), its number of nodes (0
    leaves sS out) and `radial.gaussian_taps`.
    """

    cutoff: float
    mean: bool
    density: float
    sigma: float
    step: float
    n_grid: int
    taps: np.ndarray

    @property
    def n_bins(self) -> int:
        """Bins that reach as far as the pairs do."""
        reach = (self.n_grid - 1) * self.step + GAUSSIAN_REACH * self.sigma
        return int(reach / self.step * BINS_PER_STEP) + 2


class Workspace(NamedTuple):
    """Arrays that the kernels cut into pieces; they grow in use and belong to one thread.

    They are for points, cells, bonds, and the sums of one frame.
    """

    real: np.ndarray
    integer: np.ndarray
    bond_real: np.ndarray
    bond_integer: np.ndarray


def workspace(sizes: tuple[int, ...] = (1, 1, 1, 1)) -> Workspace:
    """Workspace of the given sizes."""
    kinds = (np.float64, np.int64, np.float64, np.int32)
    return Workspace(*(np.empty(n, kind) for n, kind in zip(sizes, kinds, strict=True)))


@njit(**INNER)
def symmetry(
    positions: np.ndarray, cell: np.ndarray, inv: np.ndarray, pbc: np.ndarray, cutoff: float,
    mean: bool, out: np.ndarray, space: Workspace,
) -> Workspace:  # fmt: skip
    """Q6, isolated and overlapping atoms and smallest distance of a frame into `out`."""
    real, integer, bond_real, bond_integer = space
    n_atoms = positions.shape[0]
    direct = nearest_images_suffice(n_atoms, inv, pbc, cutoff)
    if direct:
        room = n_atoms * n_atoms // 2 + 8
    else:
        found, real, integer = neighbourhood(
            positions, cell, inv, pbc, cutoff, _BONDS, True, real, integer
        )
        # One atom alone may have as many bonds as there are candidates.
        room = max(BONDS_PER_ATOM * n_atoms, found.squared.shape[0])
    if bond_real.shape[0] < 4 * room or bond_integer.shape[0] < 2 * (n_atoms + room):
        bond_real = np.empty(5 * room)
        bond_integer = np.empty(3 * (n_atoms + room), dtype=np.int32)
    bonds = Bonds(
        bond_integer[2 * n_atoms : 2 * (n_atoms + room)].reshape(2, room),
        bond_real[: 4 * room].reshape(4, room),
    )
    n_bonds, shared = bond_integer[:n_atoms], bond_integer[n_atoms : 2 * n_atoms]
    for i in range(n_atoms):
        n_bonds[i] = shared[i] = 0
    sums = np.zeros((n_atoms if mean else 0, N_Y6))
    if direct:
        if real.shape[0] < 7 * n_atoms + 3:
            real = np.empty(8 * n_atoms + 3)
        n, nearest = bonds_of_nearest_images(
            positions, cell, inv, pbc, cutoff, bonds, n_bonds, shared, real
        )
    else:
        n, nearest, sums = collect_bonds(found, cutoff, bonds, n_bonds, shared, sums)
    if sums.shape[0]:
        add_bonds(bonds, n, sums)
        out[Q6] = q6_of_sums(sums, n_bonds, mean)
    else:
        out[Q6] = averaged_q6(bonds, n, n_bonds)
    isolated = overlapping = 0
    for i in range(n_atoms):
        isolated += n_bonds[i] == 0
        overlapping += shared[i]
    out[N_ISOLATED], out[N_OVERLAPPING] = isolated, overlapping
    out[MIN_DISTANCE] = math.sqrt(nearest)
    return Workspace(real, integer, bond_real, bond_integer)


@njit(**INNER)
def radial_reach(sigma: float, step: float, n_grid: int) -> float:
    """Distance of the farthest pairs that feed g(r), Å."""
    return (n_grid - 1) * step + GAUSSIAN_REACH * sigma


@njit(**INNER)
def radial_moments(
    positions: np.ndarray, cell: np.ndarray, inv: np.ndarray, pbc: np.ndarray, recipe: Recipe,
    moments: np.ndarray, want_nearest: bool, real: np.ndarray, integer: np.ndarray,
) -> tuple[float, np.ndarray, np.ndarray]:  # fmt: skip
    """Moments of all pair distances of a frame: see `radial.pair_moments`."""
    reach = radial_reach(recipe.sigma, recipe.step, recipe.n_grid)
    found, real, integer = neighbourhood(
        positions, cell, inv, pbc, reach, _RADIAL, True, real, integer
    )
    nearest = pair_moments(found, recipe.step / BINS_PER_STEP, moments, want_nearest)
    return nearest, real, integer


@njit(**OUTER)
def map_frames(
    offsets: np.ndarray, positions: np.ndarray, cells: np.ndarray, pbc: np.ndarray,
    cutoff: float, mean: bool, density: float, sigma: float, step: float, n_grid: int,
    taps: np.ndarray, n_bins: int, out: np.ndarray,
    real: np.ndarray, integer: np.ndarray, bond_real: np.ndarray, bond_integer: np.ndarray,
    sizes: np.ndarray,
) -> bool:  # fmt: skip
    """Landscape points of a ragged set of frames.

    Parameters
    ----------
    offsets : ndarray, shape (n_frames + 1,), int64
        Atoms of frame f are ``offsets[f]:offsets[f + 1]``.
    positions : ndarray, shape (n_atoms_total, 3), float64, Å, finite
    cells : ndarray, shape (3 n_frames, 3), float64, Å
        Rows are the cell vectors; every cell is invertible (`images.complete_cells`).
    pbc : ndarray, shape (3 n_frames,), bool
    cutoff to n_bins : see `Recipe`
        In pieces: to unpack a tuple costs as much as a small frame.
    out : ndarray, shape (n_frames, N_OUT), changed
        sS is NaN where there is no volume or no grid (a missing value in the tables), the
        smallest distance infinite where no pair is within reach.
    real, integer, bond_real, bond_integer : see `Workspace`
    sizes : ndarray, shape (4,), int64, changed
        Sizes of the workspace that was needed.

    Returns
    -------
    bool
        Whether the workspace handed in was too small: larger ones spare time next time.
    """
    given = real.shape[0] + bond_real.shape[0]
    inv = np.empty((3, 3))
    moments, pairs = np.empty((n_bins, 4)), np.empty(n_grid)
    recipe = Recipe(cutoff, mean, density, sigma, step, n_grid, taps)
    for f in range(offsets.shape[0] - 1):
        n = offsets[f + 1] - offsets[f]
        one = out[f]
        one[SS], one[MIN_DISTANCE] = math.nan, math.inf
        one[Q6] = one[N_ISOLATED] = one[N_OVERLAPPING] = 0.0
        if n == 0:
            continue
        where, cell = positions[offsets[f] : offsets[f + 1]], cells[3 * f : 3 * f + 3]
        periodic = pbc[3 * f : 3 * f + 3]
        volume = abs(inverse(cell, inv))
        if not (periodic[0] and periodic[1] and periodic[2]):
            volume = n / density if density > 0 else math.nan
        if cutoff > 0:
            real, integer, bond_real, bond_integer = symmetry(
                where, cell, inv, periodic, cutoff, mean, one,
                Workspace(real, integer, bond_real, bond_integer),
            )  # fmt: skip
        if n_grid == 0 or volume != volume:
            continue
        for k in range(n_bins):
            for c in range(4):
                moments[k, c] = 0.0
        unknown = one[MIN_DISTANCE] == math.inf
        nearest, real, integer = radial_moments(
            where, cell, inv, periodic, recipe, moments, unknown, real, integer
        )
        if unknown:
            one[MIN_DISTANCE] = math.sqrt(nearest)
        pair_density(moments, taps, n_grid, pairs)
        one[SS] = entropy_integral(pairs, step, n, n, volume)
    sizes[0], sizes[1] = real.shape[0], integer.shape[0]
    sizes[2], sizes[3] = bond_real.shape[0], bond_integer.shape[0]
    return real.shape[0] + bond_real.shape[0] > given
