"""All seeds of a material, checked and named."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from ..errors import InputError, StageError
from ..frames import Frames, concatenate, from_atoms
from ..progress import logger
from ..provenance import rng
from ..readers import read_frames
from ..settings import Landscape, Settings
from .md import snapshots
from .melt_runs import MeltRun, gather
from .prototypes import prototype, repeated

MIN_DISTANCE = 0.5
"""Atoms of a user's file that are nearer than this (Å) lie on top of each other."""

MIN_VOLUME = 0.5
"""Periodic cells with less volume per atom than this (Å^3) are no crystals."""

LARGE_SET = 2000
"""From this many frames on, starting the compiled kernels is faster than ASE."""


def expand(patterns: Sequence[str]) -> list[Path]:
    """Files that the user's names and wildcards mean, sorted.

    Raises
    ------
    InputError
        A name or wildcard matches no file.
    """
    files: list[Path] = []
    for pattern in patterns:
        found = sorted(Path(name) for name in glob.glob(pattern, recursive=True))
        if not found:
            raise InputError(f"inputs.seeds: {pattern}: no such file")
        files.extend(found)
    return list(dict.fromkeys(files))


def read_user_seeds(patterns: Sequence[str], elements: Sequence[str]) -> Frames:
    """Seeds from the user's files, every frame checked.

    Raises
    ------
    InputError
        A file is absent, empty or unreadable, holds an element that is not in `elements`,
        or holds atoms on top of each other; the message names file and frame.
    """
    parts = []
    for path in expand(patterns):
        frames = read_frames(path).without_labels()
        check_frames(frames, elements, str(path))
        names = [f"{path}#{i}" for i in range(len(frames))]
        frames.meta = frames.meta.iloc[:, :0].assign(source=names)
        parts.append(frames)
    return concatenate(parts)


def check_frames(frames: Frames, elements: Sequence[str], where: str) -> None:
    """Refuse frames with foreign elements, tiny cells or overlapping atoms.

    Positions and cells that are no numbers or span nothing do not come out of a reader.

    Raises
    ------
    InputError
        With the name of the file, the index of the frame and what is allowed.
    """
    for i in _suspects(frames, elements):
        atoms = frames.atoms(i)
        foreign = sorted(set(atoms.symbols) - set(elements))
        if foreign:
            raise InputError(
                f"{where}: frame {i}: element {', '.join(foreign)} is not among the elements "
                f"of this material ({', '.join(elements)})"
            )
        if atoms.pbc.all() and atoms.get_volume() / len(atoms) < MIN_VOLUME:
            raise InputError(
                f"{where}: frame {i}: volume {atoms.get_volume():.3g} Å^3 for {len(atoms)} atoms; "
                f"expected at least {MIN_VOLUME} Å^3 per atom"
            )
        nearest = _nearest(atoms)
        if nearest < MIN_DISTANCE:
            raise InputError(
                f"{where}: frame {i}: two atoms are {nearest:.3f} Å apart; atoms on top of each "
                f"other are refused (at least {MIN_DISTANCE} Å)"
            )


def _suspects(frames: Frames, elements: Sequence[str]) -> Sequence[int]:
    """Frames that deserve a look: all of a small set, of a large one those that look wrong."""
    if len(frames) < LARGE_SET:
        return range(len(frames))
    from ..landscape import kernels  # compiled: not worth its start for a few frames
    from ..landscape.mapping import kernel_output

    known = [atomic_numbers[symbol] for symbol in elements]
    foreign = np.add.reduceat(~np.isin(frames.numbers, known), frames.offsets[:-1]) > 0
    tiny = frames.pbc.all(axis=1) & (frames.volumes < MIN_VOLUME * frames.n_atoms)
    nearest = kernel_output(frames, Landscape(cutoff=MIN_DISTANCE), MIN_DISTANCE)
    close = ~(nearest[:, kernels.MIN_DISTANCE] >= MIN_DISTANCE)
    return np.flatnonzero(foreign | tiny | close).tolist()


def _nearest(atoms: Atoms) -> float:
    from ase.neighborlist import neighbor_list

    distances = neighbor_list("d", atoms, MIN_DISTANCE)
    return float(distances.min()) if len(distances) else np.inf


def _scaled(cell: Atoms, deformation: np.ndarray, source: str) -> Atoms:
    image = cell.copy()
    image.set_cell(cell.cell.array @ deformation, scale_atoms=True)
    image.info["source"] = source
    return image


def _strained(settings: Settings) -> list[Atoms]:
    seeds = settings.seeds
    images = []
    for name in seeds.prototypes:
        crystal = prototype(name, settings.elements[0], seeds.volume_per_atom)
        cells = repeated(crystal, seeds.n_atoms)
        if not cells:
            logger.warning(
                "prototype %s: no supercell has %d to %d atoms; left out", name, *seeds.n_atoms
            )
            continue
        for strain in seeds.volume_strains:
            factor = np.eye(3) * (1 + strain) ** (1 / 3)
            images.append(_scaled(cells[0], factor, f"{name} volume {strain:+.0%}"))
        for cell in cells:
            random = rng(settings.seed, settings.material, "seeds", f"shear {name} {len(cell)}")
            shear = random.normal(0, seeds.shear, (3, 3))
            deformation = np.eye(3) + (shear + shear.T) / 2
            images.append(_scaled(cell, deformation, f"{name} x{len(cell)} sheared"))
    return images


def _melted(settings: Settings) -> list[Atoms]:
    seeds = settings.seeds
    if seeds.md is None:
        return []
    images = []
    for name in seeds.prototypes:
        crystal = prototype(name, settings.elements[0], seeds.volume_per_atom)
        for cell in repeated(crystal, seeds.n_atoms)[-1:]:
            for temperature in seeds.md.temperatures:
                item = f"md {name} {temperature:g}"
                random = rng(settings.seed, settings.material, "seeds", item)
                for image in snapshots(cell, temperature, seeds.md, random):
                    image.info["source"] = f"{name} x{len(cell)} MD {temperature:g} K"
                    images.append(image)
    return images


def collect(settings: Settings, melted: Sequence[MeltRun] = ()) -> Frames:
    """Seeds of a material: the user's files, or strained prototypes and MD snapshots.

    Parameters
    ----------
    settings : Settings
    melted : sequence of MeltRun
        The melt-quench runs, where the settings ask for them in place of short ones.

    Returns
    -------
    Frames
        Without duplicates, sorted by frame id; ``source`` says where each came from.

    Raises
    ------
    InputError
        A user's file cannot be used.
    StageError
        No seed is left, or every melt-quench run failed.
    """
    if settings.inputs.seeds:
        frames = read_user_seeds(settings.inputs.seeds, settings.elements)
    else:
        images = _strained(settings)
        logger.info("%d strained prototypes", len(images))
        long = settings.seeds.md is not None and settings.seeds.md.melt_quench is not None
        hot = gather(melted) if long else from_atoms(_melted(settings))
        logger.info("%d frames from %s", len(hot), "melt-quench runs" if long else "short MD")
        frames = concatenate([from_atoms(images), hot])
    frames = frames.sorted_by_id()
    if not len(frames):
        raise StageError(
            f"{settings.material}: no seeds left; give files under inputs.seeds, or prototypes "
            f"that fit seeds.n_atoms {list(settings.seeds.n_atoms)}"
        )
    return frames
