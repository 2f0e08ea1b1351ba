"""Map frames to landscape points, with the settings that give each point its identity."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from ..errors import StageError
from ..frames import Frames, from_atoms
from ..provenance import digest, read_json
from ..settings import Landscape
from .cutoff import auto_cutoff
from .images import complete_cells
from .kernels import (
    MIN_DISTANCE,
    N_ISOLATED,
    N_OUT,
    N_OVERLAPPING,
    Q6,
    SS,
    Recipe,
    map_frames,
    workspace,
)
from .local import local_entropies, local_symmetry, nearest_neighbours
from .published import N_BINS, published_entropies
from .radial import POINTS_PER_SIGMA, gaussian_taps, grid_of
from .species import pair_resolved_entropies, subset

POINT_COLUMNS = (
    "frame_id",
    "sS",
    "Q6",
    "n_atoms",
    "volume_per_atom",
    "n_isolated",
    "n_overlapping",
    "min_distance",
    "note",
    "settings_digest",
)

NO_VOLUME = "no volume: not periodic in all directions"
NO_SPECIES = "no atom of the chosen species"


class Point(NamedTuple):
    """Landscape point of one configuration.

    sS in kB per atom (NaN where there is no volume); Q6; atoms without a neighbour; atoms
    that share their place with another; smallest distance in Å (infinite beyond reach).
    """

    sS: float
    Q6: float
    n_isolated: int
    n_overlapping: int
    min_distance: float


def settings_digest(settings: Landscape, cutoff: float) -> str:
    """Digest of all that defines a point: two points compare only if theirs are equal."""
    grid = POINTS_PER_SIGMA if settings.definition == "equations" else f"{N_BINS} bins"
    identity = {
        "definition": settings.definition,
        "sigma": settings.sigma,
        "rmax": settings.rmax,
        "grid": grid,
        "q6": settings.q6,
        "neighbours": settings.nearest or round(cutoff, 6),
        "species": settings.species,
        "density": settings.density,
    }
    return digest(identity)


def _recipe(settings: Landscape, cutoff: float, entropy: bool = True) -> Recipe:
    step, n_grid = grid_of(settings.sigma, settings.rmax)
    direct = entropy and settings.definition == "equations" and settings.species != "pairs"
    return Recipe(
        cutoff=0.0 if settings.nearest else float(cutoff),
        mean=settings.q6 == "mean",
        density=settings.density or 0.0,
        sigma=settings.sigma,
        step=step,
        n_grid=n_grid if direct else 0,
        taps=gaussian_taps(settings.sigma, step),
    )


def _with_grid(recipe: Recipe, settings: Landscape) -> Recipe:
    return recipe._replace(n_grid=grid_of(settings.sigma, settings.rmax)[1])


def number_of_threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _in_threads(frames: Frames, n_threads: int, one: Any) -> None:
    """Call ``one(i, j)`` for runs of frames that hold about equally many atoms."""
    n_parts = min(len(frames), 8 * n_threads) if n_threads > 1 else 1
    targets = np.linspace(0, frames.offsets[-1], n_parts + 1)
    edges = np.unique(np.searchsorted(frames.offsets, targets))
    if len(edges) <= 2:
        one(0, len(frames))
        return
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(one, edges[:-1], edges[1:]))


def kernel_output(
    frames: Frames, settings: Landscape, cutoff: float, n_threads: int = 1
) -> np.ndarray:
    """Numbers of every frame, shape (n_frames, N_OUT), columns as in :mod:`kernels`.

    What :func:`points` makes its table of, for callers to whom the table costs too much.
    The kernels free the GIL.
    """
    frames = _chosen(frames, settings)
    out = np.full((len(frames), N_OUT), np.nan)
    recipe = _recipe(settings, cutoff)

    def one(i: int, j: int) -> None:
        offsets, positions, pbc = frames.offsets[i : j + 1], frames.positions, frames.pbc[i:j]
        cells = complete_cells(frames.cells[i:j], pbc)
        map_frames(
            offsets, positions, cells.reshape(-1, 3), pbc.ravel(), *recipe, recipe.n_bins,
            out[i:j], *workspace(), np.empty(4, dtype=np.int64),
        )  # fmt: skip
        if settings.nearest:
            nearest_neighbours(
                offsets, positions, cells, pbc, settings.nearest, recipe.mean, out[i:j]
            )
        if settings.species == "pairs":
            pair_resolved_entropies(
                offsets, positions, frames.numbers, cells, pbc,
                _with_grid(recipe, settings), out[i:j, SS],
            )  # fmt: skip
        if settings.definition == "published-code":
            published_entropies(
                offsets, positions, cells, pbc, settings.sigma, settings.rmax, out[i:j, SS]
            )  # fmt: skip

    _in_threads(frames, n_threads, one)
    return out


def _chosen(frames: Frames, settings: Landscape) -> Frames:
    """`frames` with the atoms of the chosen species alone."""
    if isinstance(settings.species, str):
        return frames
    numbers = [atomic_numbers[symbol] for symbol in settings.species]
    if np.isin(frames.numbers, numbers).all():
        return frames
    return subset(frames, numbers)


def points(
    frames: Frames, settings: Landscape, cutoff: float | None = None, n_threads: int = 1
) -> pd.DataFrame:
    """Landscape point of every frame (Steinhardt 1983; Piaggi & Parrinello 2017).

    Parameters
    ----------
    frames : Frames
    settings : Landscape
        Definition, sigma and rmax in Å, which Q6, which species.
    cutoff : float, optional
        Neighbour cutoff of Q6 in Å; needed where ``settings.cutoff`` is ``auto``, so that
        all sets of one run are mapped with the same number.
    n_threads : int
        Threads that share the frames; the result does not depend on it.

    Returns
    -------
    DataFrame, one row per frame in order
        frame_id; sS (kB per atom, missing with a ``note`` unless there is a volume); Q6
        (never NaN); n_atoms; volume_per_atom (Å^3); n_isolated (atoms without neighbour);
        n_overlapping (atoms that share their place with another); min_distance (Å, missing
        beyond reach); note; settings_digest.

    Raises
    ------
    StageError
        ``cutoff: auto`` cannot be resolved, or a frame holds what is not finite.
    """
    if cutoff is None:
        cutoff = auto_cutoff(frames) if settings.cutoff == "auto" else float(settings.cutoff)
    _refuse_unusable(frames)
    chosen = _chosen(frames, settings)
    out = kernel_output(chosen, settings, cutoff, n_threads)
    bulk = frames.pbc.all(axis=1)
    has_volume = bulk | (settings.density is not None)
    empty = chosen.n_atoms == 0
    out[empty, SS] = np.nan
    note = np.where(empty, NO_SPECIES, np.where(has_volume, "", NO_VOLUME))
    distance = out[:, MIN_DISTANCE]
    return pd.DataFrame(
        {
            "frame_id": frames.frame_ids(),
            "sS": out[:, SS],
            "Q6": out[:, Q6],
            "n_atoms": frames.n_atoms,
            "volume_per_atom": np.where(bulk, frames.volumes / frames.n_atoms, np.nan),
            "n_isolated": out[:, N_ISOLATED].astype(np.int64),
            "n_overlapping": out[:, N_OVERLAPPING].astype(np.int64),
            "min_distance": np.where(np.isfinite(distance), distance, np.nan),
            "note": note,
            "settings_digest": settings_digest(settings, cutoff),
        }
    )


def _refuse_unusable(frames: Frames) -> None:
    """Kernels index by coordinates: what is not finite must not reach them."""
    finite = np.isfinite(frames.cells).all(axis=(1, 2))
    if not (finite.all() and np.isfinite(frames.positions).all()):
        bad = [
            i
            for i in range(len(frames))
            if not (finite[i] and np.isfinite(frames.positions[frames.atoms_of(i)]).all())
        ]
        raise StageError(
            f"{len(bad)} frames hold positions or cells that are not finite (first: number "
            f"{bad[0]} of the set)"
        )


class Mapper:
    """Map one configuration after another, at little more than the cost of the kernel.

    Parameters
    ----------
    settings : Landscape
        With a number as cutoff; species ``all`` and definition ``equations``.
    entropy : bool
        Whether sS is wanted at all; without it Q6 alone costs a fifth.

    Examples
    --------
    >>> mapper = Mapper(Landscape(cutoff=3.6))
    >>> point = mapper(atoms)
    >>> point.sS, point.Q6
    """

    def __init__(self, settings: Landscape, entropy: bool = True) -> None:
        if settings.cutoff == "auto":
            raise StageError("a Mapper needs landscape.cutoff as a number, in Å")
        if settings.definition != "equations" or settings.species != "all":
            raise StageError("a Mapper knows definition: equations with species: all; use points")
        self.recipe = _recipe(settings, float(settings.cutoff), entropy)
        self._offsets = np.zeros(2, dtype=np.int64)
        self._out = np.empty((1, N_OUT))
        self._row = self._out[0]
        self._sizes = np.ones(4, dtype=np.int64)
        self._prepare()

    def _prepare(self) -> None:
        """Workspace as large as the last frame asked for, and all that follows the frame."""
        space = workspace(tuple(self._sizes.tolist()))
        self._rest = (*self.recipe, self.recipe.n_bins, self._out, *space, self._sizes)

    def __call__(self, atoms: Atoms) -> Point:
        """Landscape point of one configuration; positions and cell must be finite."""
        cell, pbc = atoms.cell.array, atoms.pbc
        if not all(pbc.tolist()):  # five times as fast as pbc.all()
            cell = complete_cells(cell[None], pbc[None])[0]
        positions = atoms.positions
        self._offsets[1] = len(positions)
        if map_frames(self._offsets, positions, cell, pbc, *self._rest):
            self._prepare()
        sS, q6, isolated, overlaps, distance = self._row.tolist()
        return Point(sS, q6, int(isolated), int(overlaps), distance)


def per_atom(atoms: Atoms, settings: Landscape) -> pd.DataFrame:
    """Local order of every atom of one configuration.

    Parameters
    ----------
    atoms : Atoms
    settings : Landscape
        With a number as cutoff, or nearest neighbours; definition and species are not used.

    Returns
    -------
    DataFrame, one row per atom in order
        q6 : norm of the atom's own q_6m (Eq. 3; 0 without a neighbour)
        n_neighbours
        sS : Eq. 6 with the g(r) around this atom alone, kB (missing without a volume); its
            mean over the atoms is not the sS of the frame, which averages g(r) first.
    """
    if settings.cutoff == "auto" and not settings.nearest:
        raise StageError("per-atom output needs landscape.cutoff as a number, in Å")
    cutoff = 0.0 if settings.cutoff == "auto" else float(settings.cutoff)
    table = atom_points(from_atoms([atoms]), settings, cutoff)
    return table[["q6", "n_neighbours", "sS"]]


def atom_points(frames: Frames, settings: Landscape, cutoff: float) -> pd.DataFrame:
    """Local order of every atom of every frame, one row per atom in order.

    Returns
    -------
    DataFrame
        frame_id; atom (its place in the frame from 0); element; q6, n_neighbours and sS as
        in :func:`per_atom`; settings_digest.
    """
    _refuse_unusable(frames)
    n_atoms, sizes = len(frames.positions), frames.n_atoms
    q6, entropy = np.empty(n_atoms), np.full(n_atoms, np.nan)
    n_neighbours = np.empty(n_atoms, dtype=np.int64)
    recipe = _with_grid(_recipe(settings, cutoff), settings)
    cells = complete_cells(frames.cells, frames.pbc)
    open_volumes = sizes / settings.density if settings.density else np.zeros(len(frames))
    volumes = np.where(frames.pbc.all(axis=1), frames.volumes, open_volumes)
    for i, volume in enumerate(volumes.tolist()):
        where = frames.atoms_of(i)
        positions, cell, pbc = frames.positions[where], cells[i], frames.pbc[i]
        q6[where], n_neighbours[where] = local_symmetry(
            positions, cell, pbc, cutoff, settings.nearest or 0
        )
        if volume:
            entropy[where] = local_entropies(positions, cell, pbc, recipe, recipe.n_bins, volume)
    symbols = np.array(chemical_symbols)
    return pd.DataFrame(
        {
            "frame_id": np.repeat(np.array(frames.frame_ids(), dtype=object), sizes),
            "atom": np.arange(n_atoms) - np.repeat(frames.offsets[:-1], sizes),
            "element": symbols[frames.numbers],
            "q6": q6,
            "n_neighbours": n_neighbours,
            "sS": entropy,
            "settings_digest": settings_digest(settings, cutoff),
        }
    )


def resolve(frames: Frames, settings: Landscape) -> dict[str, Any]:
    """Settings of one run with the cutoff as a number, and their digest, as plain data."""
    cutoff = auto_cutoff(frames) if settings.cutoff == "auto" else settings.cutoff
    values = settings.model_dump(mode="json") | {"cutoff": cutoff}
    return {**values, "digest": settings_digest(settings, float(cutoff))}


def read_settings(path: str | Path) -> Landscape:
    """Settings that :func:`resolve` made, from their JSON file."""
    values = read_json(path)
    values.pop("digest")
    return Landscape.model_validate(values)
