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
    OVERLAP,
    add_bonds,
    averaged_q6,
    bond_buffer,
    collect_bonds,
    overlapping,
    q6_of_sums,
)
from .images import Neighbourhood, complete_cell, inverse, neighbourhood
from .radial import GAUSSIAN_REACH, entropy_integral, pair_density, pair_moments

SS, Q6, N_ISOLATED, N_OVERLAPPING, MIN_DISTANCE, N_OUT = range(6)
"""Columns of the output of :func:`map_frames`."""

BONDS_PER_ATOM = 12
"""Room for bonds; where they are more, they are added up per atom as the room is full."""

_RADIAL_CELL = _radial.ATOMS_PER_CELL
_BOND_CELL = _bonds.ATOMS_PER_CELL


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


class Workspace(NamedTuple):
    """Arrays that the kernels cut into pieces; they grow in use and belong to one thread."""

    real: np.ndarray
    integer: np.ndarray
    bond_real: np.ndarray
    bond_integer: np.ndarray


@njit(cache=True)
def workspace() -> Workspace:
    """Empty workspace."""
    return Workspace(
        np.empty(1), np.empty(1, dtype=np.int64), np.empty(1), np.empty(1, dtype=np.int64)
    )


@njit(cache=True, nogil=True, error_model="numpy")
def symmetry(
    found: Neighbourhood, n_atoms: int, recipe: Recipe, out: np.ndarray,
    real: np.ndarray, integer: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Q6, isolated and overlapping atoms and smallest distance of a frame into `out`."""
    n_bonds = np.zeros(n_atoms, dtype=np.int64)
    # One atom alone may have as many bonds as there are candidates.
    capacity = max(BONDS_PER_ATOM * n_atoms, found.squared.shape[0])
    bonds, real, integer = bond_buffer(capacity, real, integer)
    sums = np.zeros((n_atoms if recipe.mean else 0, N_Y6))
    n, nearest, sums = collect_bonds(found, recipe.cutoff, bonds, n_bonds, sums)
    if sums.shape[0]:
        add_bonds(bonds, n, sums)
        out[Q6] = q6_of_sums(sums, n_bonds, recipe.mean)
    else:
        out[Q6] = averaged_q6(bonds, n, n_bonds)
    isolated = 0
    for i in range(n_atoms):
        isolated += n_bonds[i] == 0
    out[N_ISOLATED] = isolated
    out[N_OVERLAPPING] = 0 if nearest > OVERLAP * OVERLAP else overlapping(found, n_atoms)
    out[MIN_DISTANCE] = math.sqrt(nearest)
    return real, integer


@njit(cache=True, nogil=True, error_model="numpy")
def number_of_bins(recipe: Recipe) -> int:
    """Bins that reach as far as the pairs do."""
    return int(radial_reach(recipe) / recipe.step) + 2


@njit(cache=True, nogil=True, error_model="numpy")
def radial_reach(recipe: Recipe) -> float:
    """Distance of the farthest pairs that feed g(r), Å."""
    return (recipe.n_grid - 1) * recipe.step + GAUSSIAN_REACH * recipe.sigma


@njit(cache=True, nogil=True, error_model="numpy")
def radial_moments(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, recipe: Recipe,
    moments: np.ndarray, want_nearest: bool, space: Workspace,
) -> tuple[float, Workspace]:  # fmt: skip
    """Moments of all pair distances of a frame: see `radial.pair_moments`."""
    whole, inv = np.empty((3, 3)), np.empty((3, 3))
    complete_cell(cell, pbc, whole)
    inverse(whole, inv)
    found, real, integer = neighbourhood(
        positions, whole, inv, pbc, radial_reach(recipe), _RADIAL_CELL, True,
        space.real, space.integer,
    )  # fmt: skip
    nearest = pair_moments(found, recipe.step, moments, want_nearest)
    return nearest, Workspace(real, integer, space.bond_real, space.bond_integer)


@njit(cache=True, nogil=True, error_model="numpy")
def map_frame(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, recipe: Recipe,
    out: np.ndarray, space: Workspace,
) -> Workspace:  # fmt: skip
    """Landscape point of one frame into `out`.

    Parameters
    ----------
    positions : ndarray, shape (n, 3), float64, Å, finite
    cell : ndarray, shape (3, 3), float64, Å
        Rows are the cell vectors; those of open directions may be zero.
    pbc : ndarray, shape (3,), bool
    recipe : Recipe
    out : ndarray, shape (N_OUT,), changed
        sS is NaN where there is no volume or no grid (a missing value in the tables), the
        smallest distance infinite where no pair is within reach.
    space : Workspace

    Returns
    -------
    Workspace
        The one to hand in next time.
    """
    n = positions.shape[0]
    out[:] = 0.0
    out[SS], out[MIN_DISTANCE] = math.nan, math.inf
    if n == 0:
        return space
    whole, inv = np.empty((3, 3)), np.empty((3, 3))
    complete_cell(cell, pbc, whole)
    volume = abs(inverse(whole, inv))
    if not (pbc[0] and pbc[1] and pbc[2]):
        volume = n / recipe.density if recipe.density > 0 else math.nan
    if recipe.cutoff > 0:
        found, real, integer = neighbourhood(
            positions, whole, inv, pbc, recipe.cutoff, _BOND_CELL, True,
            space.real, space.integer,
        )  # fmt: skip
        bond_real, bond_integer = symmetry(
            found, n, recipe, out, space.bond_real, space.bond_integer
        )
        space = Workspace(real, integer, bond_real, bond_integer)
    if recipe.n_grid == 0 or volume != volume:
        return space
    moments = np.zeros((number_of_bins(recipe), 4))
    unknown = out[MIN_DISTANCE] == math.inf
    nearest, space = radial_moments(positions, cell, pbc, recipe, moments, unknown, space)
    if unknown:
        out[MIN_DISTANCE] = math.sqrt(nearest)
    pairs = np.empty(recipe.n_grid)
    pair_density(moments, recipe.taps, recipe.n_grid, pairs)
    out[SS] = entropy_integral(pairs, recipe.step, n, n, volume)
    return space


@njit(cache=True, nogil=True, error_model="numpy")
def map_frames(
    offsets: np.ndarray, positions: np.ndarray, cells: np.ndarray, pbc: np.ndarray,
    recipe: Recipe, out: np.ndarray,
) -> None:  # fmt: skip
    """:func:`map_frame` of every frame of a ragged set into `out` (n_frames, N_OUT)."""
    space = workspace()
    for f in range(offsets.shape[0] - 1):
        space = map_frame(
            positions[offsets[f] : offsets[f + 1]], cells[f], pbc[f], recipe, out[f], space
        )
