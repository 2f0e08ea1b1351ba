"""Ragged columnar set of configurations, its tables, and its way into files.

A :class:`Frames` keeps all atoms of all frames in flat arrays (the layout that the numba
kernels and Arrow share) plus one pandas row of metadata per frame.  Positions and cells
are rounded to 1e-8 Å on entry, which is the precision of extended XYZ: a frame keeps its
bits, and so its :func:`frame_ids`, through any file this project writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from ase import Atoms

from .provenance import atomic_path

DECIMALS = 8
"""Decimals of an ångström that positions and cells keep (the precision of extxyz)."""

ID_RESOLUTION = 1e-7
"""Fraction of a cell edge (or Å along open directions) that a frame id distinguishes."""

SCALARS = (str, int, float, bool, np.generic)
"""Types of an entry of ``info`` that is metadata."""

STRUCTURE_COLUMNS = ("frame_id", "numbers", "positions", "cell", "pbc")
LABEL_COLUMNS = ("energy", "forces", "stress")


def _rounded(values: Any) -> np.ndarray:
    return np.round(np.asarray(values, dtype=np.float64), DECIMALS) + 0.0  # no minus zero


@dataclass
class Frames:
    """Configurations in flat arrays.

    Parameters
    ----------
    offsets : ndarray, shape (n_frames + 1,), int64
        Atoms of frame ``i`` are ``offsets[i]:offsets[i + 1]`` of the flat arrays.
    numbers : ndarray, shape (n_atoms_total,), int64
        Atomic numbers.
    positions : ndarray, shape (n_atoms_total, 3), float64, Å
    cells : ndarray, shape (n_frames, 3, 3), float64, Å
        Rows are the cell vectors.
    pbc : ndarray, shape (n_frames, 3), bool
    energy : ndarray, shape (n_frames,), float64, eV, optional
        Total energy of the cell; NaN where a frame has none.
    forces : ndarray, shape (n_atoms_total, 3), float64, eV/Å, optional
    stress : ndarray, shape (n_frames, 6), float64, eV/Å^3, optional
        ASE sign (positive is tension) and Voigt order xx yy zz yz xz xy.
    meta : DataFrame, n_frames rows
        Anything else that belongs to a frame (lineage, status, fidelity).
    """

    offsets: np.ndarray
    numbers: np.ndarray
    positions: np.ndarray
    cells: np.ndarray
    pbc: np.ndarray
    energy: np.ndarray | None = None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None
    meta: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __post_init__(self) -> None:
        self.offsets = np.asarray(self.offsets, dtype=np.int64)
        self.numbers = np.asarray(self.numbers, dtype=np.int64)
        self.positions = _rounded(self.positions).reshape(-1, 3)
        self.cells = _rounded(self.cells).reshape(-1, 3, 3)
        self.pbc = np.asarray(self.pbc, dtype=bool).reshape(-1, 3)
        if not len(self.meta.columns):
            self.meta = pd.DataFrame(index=range(len(self)))
        self.meta = self.meta.reset_index(drop=True)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_atoms(self) -> np.ndarray:
        """Atoms per frame, shape (n_frames,), int64."""
        return np.diff(self.offsets)

    @property
    def volumes(self) -> np.ndarray:
        """Cell volumes in Å^3, shape (n_frames,)."""
        return np.abs(np.linalg.det(self.cells))

    @property
    def labelled(self) -> bool:
        """Whether energies, forces and stresses are all present."""
        return self.energy is not None and self.forces is not None and self.stress is not None

    def atoms_of(self, index: int) -> slice:
        """Slice of the flat arrays that holds frame `index`."""
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))

    def frame_ids(self) -> list[str]:
        """Identity of each frame: the letter f and sixteen hexadecimal digits.

        Species, cell and positions are hashed after wrapping into the cell (along periodic
        directions), rounding to `ID_RESOLUTION` and sorting the atoms, so wrapping and
        permutation of atoms keep the id; rotations and other cells of the same crystal do
        not.  The letter keeps readers of text files from taking an id for a number.
        """
        numbers, steps, periodic = self._canonical()
        cells = np.rint(self.cells / ID_RESOLUTION).astype("<i8")
        ids = []
        for i in range(len(self)):
            where = self.atoms_of(i)
            hasher = hashlib.blake2b(digest_size=8)
            for part in (numbers[where], steps[where], cells[i], periodic[i]):
                hasher.update(part.data)
            ids.append(f"f{hasher.hexdigest()}")
        return ids

    def _canonical(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What ids are made of: species and steps in canonical order, periodic directions."""
        from .fingerprint import canonical  # on use: numba takes a third of a second

        bases = np.where(self.pbc[:, :, None], self.cells, np.eye(3))
        singular = np.abs(np.linalg.det(bases)) < 1e-12
        bases[singular] = np.eye(3)
        periodic = self.pbc & ~singular[:, None]
        numbers, steps = canonical(
            self.offsets, self.numbers, self.positions, bases, periodic, ID_RESOLUTION
        )
        return numbers, steps, periodic

    def atom_order(self, index: int) -> np.ndarray:
        """Atoms of frame `index` in the canonical order of its id, shape (n_atoms,), int64.

        What is known per atom of one frame belongs, in this order, to any frame with its id.
        """
        where, n = self.atoms_of(index), int(self.n_atoms[index])
        alone = Frames(  # each atom a frame, so that none is sorted
            np.arange(n + 1), self.numbers[where], self.positions[where],
            np.repeat(self.cells[[index]], n, axis=0), np.repeat(self.pbc[[index]], n, axis=0),
        )  # fmt: skip
        numbers, steps, _ = alone._canonical()
        return np.lexsort((steps[:, 2], steps[:, 1], steps[:, 0], numbers))

    def take(self, indices: Sequence[int] | np.ndarray) -> Frames:
        """Frames at `indices`, in that order."""
        index = np.asarray(indices, dtype=np.int64).reshape(-1)
        sizes = self.n_atoms[index]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        pieces = [np.arange(self.offsets[i], self.offsets[i + 1]) for i in index]
        flat = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)
        return Frames(
            offsets,
            self.numbers[flat],
            self.positions[flat],
            self.cells[index],
            self.pbc[index],
            None if self.energy is None else self.energy[index],
            None if self.forces is None else self.forces[flat],
            None if self.stress is None else self.stress[index],
            self.meta.iloc[index],
        )

    def sorted_by_id(self, unique: bool = True) -> Frames:
        """Frames in the order of their ids; of equal frames the first stays if `unique`."""
        ids = np.array(self.frame_ids(), dtype=str)
        if unique:
            return self.take(np.unique(ids, return_index=True)[1])
        return self.take(np.argsort(ids, kind="stable"))

    def atoms(self, index: int) -> Atoms:
        """Frame `index` as ASE Atoms; labels and metadata go to ``info`` and ``arrays``."""
        where = self.atoms_of(index)
        result = Atoms(
            numbers=self.numbers[where],
            positions=self.positions[where],
            cell=self.cells[index],
            pbc=self.pbc[index],
        )
        for name, value in self.meta.iloc[index].items():
            if not _is_missing(value):
                result.info[str(name)] = value.item() if isinstance(value, np.generic) else value
        if self.energy is not None and np.isfinite(self.energy[index]):
            result.info["REF_energy"] = float(self.energy[index])
        if self.stress is not None and np.all(np.isfinite(self.stress[index])):
            result.info["REF_stress"] = self.stress[index].copy()
        if self.forces is not None and np.all(np.isfinite(self.forces[where])):
            result.arrays["REF_forces"] = self.forces[where].copy()
        return result

    def to_atoms(self) -> list[Atoms]:
        """All frames as ASE Atoms."""
        return [self.atoms(i) for i in range(len(self))]

    def with_meta(self, **columns: Any) -> Frames:
        """Copy with metadata columns added or replaced."""
        result = self.take(np.arange(len(self)))
        result.meta = result.meta.assign(**columns)
        return result

    def without_labels(self) -> Frames:
        """Copy with structure and metadata only."""
        return Frames(
            self.offsets,
            self.numbers,
            self.positions,
            self.cells,
            self.pbc,
            meta=self.meta,
        )


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def as_number(frame_id: str) -> int:
    """A frame id as an integer: half of the memory, where millions are to be remembered."""
    return int(frame_id[1:], 16)


def concatenate(parts: Sequence[Frames]) -> Frames:
    """Join frame sets; a label or metadata column missing in one part becomes NaN there."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return from_atoms([])
    sizes = np.concatenate([part.n_atoms for part in parts])
    n_total = [len(part.numbers) for part in parts]

    def joined(name: str, lengths: list[int], width: tuple[int, ...]) -> np.ndarray | None:
        values = [getattr(part, name) for part in parts]
        if all(value is None for value in values):
            return None
        return np.concatenate(
            [
                np.full((n, *width), np.nan) if value is None else value
                for value, n in zip(values, lengths, strict=True)
            ]
        )

    n_frames = [len(part) for part in parts]
    return Frames(
        np.concatenate([[0], np.cumsum(sizes)]),
        np.concatenate([part.numbers for part in parts]),
        np.concatenate([part.positions for part in parts]),
        np.concatenate([part.cells for part in parts]),
        np.concatenate([part.pbc for part in parts]),
        joined("energy", n_frames, ()),
        joined("forces", n_total, (3,)),
        joined("stress", n_frames, (6,)),
        pd.concat([part.meta for part in parts], ignore_index=True),
    )


def from_atoms(images: Iterable[Atoms]) -> Frames:
    """Frames from ASE Atoms; labels are taken from the ``REF_`` keys alone.

    Scalar entries of ``info`` (text, numbers, truth values) become metadata.
    """
    images = list(images)
    sizes = [len(image) for image in images]
    total = sum(sizes)
    energy = np.array([float(a.info.get("REF_energy", np.nan)) for a in images])
    stress = np.array(
        [voigt_stress(a.info.get("REF_stress", np.full(6, np.nan))) for a in images]
    ).reshape(-1, 6)
    forces = [a.arrays.get("REF_forces", np.full((len(a), 3), np.nan)) for a in images]
    meta = [meta_of(a.info) for a in images]
    flat_forces = np.concatenate(forces) if images else np.zeros((0, 3))
    return Frames(
        np.concatenate([[0], np.cumsum(sizes)]),
        np.concatenate([a.numbers for a in images]) if total else np.zeros(0),
        np.concatenate([a.positions for a in images]) if total else np.zeros((0, 3)),
        np.array([a.cell.array for a in images]).reshape(-1, 3, 3),
        np.array([a.pbc for a in images]).reshape(-1, 3),
        energy if np.isfinite(energy).any() else None,
        flat_forces if np.isfinite(flat_forces).any() else None,
        stress if np.isfinite(stress).any() else None,
        pd.DataFrame(meta, index=range(len(images))),
    )


def meta_of(info: Mapping[str, Any]) -> dict[str, Any]:
    """Those entries of an ``info`` that are metadata: scalars but labels and the frame id."""
    return {
        key: value
        for key, value in info.items()
        if not key.startswith("REF_") and key != "frame_id" and isinstance(value, SCALARS)
    }


def voigt_stress(values: Any) -> np.ndarray:
    """Stress in Voigt order, shape (6,), from six components or the nine of a matrix.

    Raises
    ------
    ValueError
        `values` are no six or nine numbers.
    """
    flat = np.asarray(values, dtype=float).ravel()
    if flat.size not in (6, 9):
        raise ValueError(f"a stress has 6 or 9 components, not {flat.size}")
    return flat if flat.size == 6 else flat[[0, 4, 8, 5, 2, 1]]


def to_table(frames: Frames) -> pa.Table:
    """Arrow table with one row per frame and list columns for what is per atom."""
    n = len(frames)
    columns: dict[str, pa.Array] = {
        "frame_id": pa.array(frames.frame_ids(), pa.string()),
        "numbers": pa.ListArray.from_arrays(frames.offsets, frames.numbers),
        "positions": _list_column(frames.offsets * 3, frames.positions),
        "cell": _list_column(np.arange(n + 1) * 9, frames.cells),
        "pbc": pa.ListArray.from_arrays(np.arange(n + 1) * 3, frames.pbc.ravel()),
    }
    if frames.energy is not None:
        columns["energy"] = pa.array(frames.energy)
    if frames.forces is not None:
        columns["forces"] = _list_column(frames.offsets * 3, frames.forces)
    if frames.stress is not None:
        columns["stress"] = _list_column(np.arange(n + 1) * 6, frames.stress)
    for name in frames.meta.columns:
        if name not in columns:
            columns[str(name)] = _meta_column(frames.meta[name])
    return pa.table(columns)


def _meta_column(values: pd.Series) -> pa.Array:
    """Column of metadata; one of mixed types, as text files may give, becomes text."""
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return pa.array([None if _is_missing(value) else str(value) for value in values])


def _list_column(offsets: np.ndarray, values: np.ndarray) -> pa.Array:
    return pa.ListArray.from_arrays(offsets, np.ascontiguousarray(values).ravel())


def from_table(table: pa.Table) -> Frames:
    """Inverse of :func:`to_table`."""

    def flat(name: str) -> np.ndarray | None:
        if name not in table.column_names:
            return None
        return table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)

    numbers = table["numbers"].combine_chunks()
    sizes = numbers.value_lengths().to_numpy(zero_copy_only=False)
    forces, stress, pbc = flat("forces"), flat("stress"), flat("pbc")
    assert pbc is not None
    known = {*STRUCTURE_COLUMNS, *LABEL_COLUMNS}
    meta = table.drop_columns([name for name in table.column_names if name in known])
    return Frames(
        np.concatenate([[0], np.cumsum(sizes)]),
        flat("numbers"),  # type: ignore[arg-type]
        flat("positions"),  # type: ignore[arg-type]
        flat("cell"),  # type: ignore[arg-type]
        pbc.reshape(-1, 3),
        table["energy"].to_numpy() if "energy" in table.column_names else None,
        None if forces is None else forces.reshape(-1, 3),
        None if stress is None else stress.reshape(-1, 6),
        meta.to_pandas() if meta.num_columns else pd.DataFrame(index=range(table.num_rows)),
    )


def write_frames(path: str | Path, frames: Frames) -> None:
    """Write frames atomically; the suffix decides (.parquet, else any format ASE writes)."""
    path = Path(path)
    with atomic_path(path) as temporary:
        if path.suffix == ".parquet":
            pq.write_table(to_table(frames), temporary, compression="zstd")
            return
        from ase.io import write  # on use: ase.io takes a third of a second

        if path.suffix in (".extxyz", ".xyz"):
            named = frames.with_meta(frame_id=frames.frame_ids())
            write(temporary, named.to_atoms(), format="extxyz")
        else:
            write(temporary, frames.to_atoms())
