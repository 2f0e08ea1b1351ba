"""DeePMD systems: folders of ``set.*/*.npy``, mapped into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from ..frames import Frames, voigt_stress
from .chunks import Broken, Chunk, Request, screened
from .sources import unreadable

PADDING = -1
"""Type of an atom that only fills up a frame of a mixed system."""


def read(request: Request) -> Iterator[Chunk]:
    """Chunks of one system, its sets in the order of their names.

    Elements come from ``type_map.raw``; without it the types 0, 1, ... become the atomic
    numbers 1, 2, ..., as for LAMMPS.  The stress is -virial / volume.

    Raises
    ------
    InputError
        A file is absent or does not fit the others.
    """
    path = request.path
    try:
        types = np.loadtxt(path / "type.raw", dtype=np.int64, ndmin=1)
        names = path / "type_map.raw"
        species = np.array(
            [atomic_numbers[name] for name in names.read_text().split()]
            if names.is_file()
            else np.arange(1, 119),
            dtype=np.int64,
        )
        if not len(types) or types.min() < 0 or types.max() >= len(species):
            raise ValueError("type.raw holds types that type_map.raw does not")
        periodic = not (path / "nopbc").is_file()
        folders = sorted(one for one in path.glob("set.*") if one.is_dir())
        sets = [_Set.of(folder, len(types), periodic) for folder in folders]
    except KeyError as error:
        raise unreadable(path, f"type_map.raw: unknown element {error}") from error
    except (OSError, ValueError) as error:
        raise unreadable(path, str(error)) from error
    first = 0
    for one in sets:
        positions = np.arange(first, first + len(one.coord))
        first += len(one.coord)
        wanted = positions[request.wanted.mask(positions)]
        step = max(1, request.atoms_per_chunk // len(types))
        for start in range(0, len(wanted), step):
            index = wanted[start : start + step]
            frames, broken = one.frames(index - positions[0], types, species, request, index)
            sound = np.setdiff1d(index, [bad.index for bad in broken])
            yield screened(request, frames, sound, broken)


@dataclass(frozen=True)
class _Set:
    """The arrays of one ``set.*`` folder, one row per frame, not yet read."""

    coord: np.ndarray
    box: np.ndarray | None
    energy: np.ndarray | None
    force: np.ndarray | None
    virial: np.ndarray | None
    types: np.ndarray | None
    periodic: bool

    @classmethod
    def of(cls, folder: Path, n_atoms: int, periodic: bool) -> _Set:
        """Map the files of a set; raises ValueError where shapes do not fit."""

        def mapped(name: str, width: int, n_frames: int | None) -> np.ndarray | None:
            file = folder / f"{name}.npy"
            if not file.is_file():
                return None
            array = np.load(file, mmap_mode="r")
            array = array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1)
            if array.shape != (n_frames if n_frames is not None else len(array), width):
                raise ValueError(
                    f"{file.parent.name}/{file.name} has shape {array.shape}; "
                    f"expected {width} columns and as many rows as coord.npy"
                )
            return array

        coord = mapped("coord", 3 * n_atoms, None)
        if coord is None:
            raise ValueError(f"{folder.name}/coord.npy: no such file")
        n = len(coord)
        box = mapped("box", 9, n)
        if box is None and periodic:
            raise ValueError(f"{folder.name}/box.npy: no such file")
        return cls(
            coord,
            box,
            mapped("energy", 1, n),
            mapped("force", 3 * n_atoms, n),
            mapped("virial", 9, n),
            mapped("real_atom_types", n_atoms, n),
            periodic,
        )

    def frames(
        self,
        rows: np.ndarray,
        types: np.ndarray,
        species: np.ndarray,
        request: Request,
        index: np.ndarray,
    ) -> tuple[Frames, list[Broken]]:
        """Frames of some rows, less those whose types are unknown."""
        kinds = np.tile(types, (len(rows), 1)) if self.types is None else self.types[rows]
        wrong = ((kinds < PADDING) | (kinds >= len(species))).any(axis=1)
        broken = [
            request.broken(int(i), "a type of real_atom_types.npy is not in type_map.raw")
            for i in index[wrong]
        ]
        rows, kinds = rows[~wrong], kinds[~wrong].astype(np.int64)
        n = len(rows)
        real = kinds != PADDING
        cells = np.zeros((n, 3, 3))
        if self.box is not None:
            cells = np.asarray(self.box[rows], dtype=np.float64).reshape(n, 3, 3)
        stress = None
        if self.virial is not None and self.periodic:
            virial = np.asarray(self.virial[rows], dtype=np.float64)
            with np.errstate(divide="ignore", invalid="ignore"):
                tensors = -virial / np.abs(np.linalg.det(cells))[:, None]
            stress = np.array([voigt_stress(one) for one in tensors]).reshape(n, 6)
        labels = request.labels_from_calculator
        return Frames(
            np.concatenate([[0], np.cumsum(real.sum(axis=1))]),
            species[kinds[real]],
            self._per_atom(self.coord, rows, real),
            cells,
            np.full((n, 3), self.periodic),
            None if self.energy is None or not labels else np.array(self.energy[rows, 0], float),
            None if self.force is None or not labels else self._per_atom(self.force, rows, real),
            stress if labels else None,
        ), broken

    @staticmethod
    def _per_atom(array: np.ndarray, rows: np.ndarray, real: np.ndarray) -> np.ndarray:
        values = np.asarray(array[rows], dtype=np.float64)
        return values.reshape(len(rows), -1, 3)[real]
