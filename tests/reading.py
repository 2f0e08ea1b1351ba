"""What the tests of the readers share: files to read, and ASE to compare with."""

from pathlib import Path

import numpy as np
import pandas as pd
from ase.io import read
from polymorphkd.frames import Frames, concatenate, from_atoms
from polymorphkd.readers import stream
from polymorphkd.readers.ase_formats import promote_calculator

COLUMNS = ("offsets", "numbers", "positions", "cells", "pbc", "energy", "forces", "stress")
BOX = 'Lattice="4 0 0 0 4.5 0 0 0.1 5"'
CUBE = "ITEM: BOX BOUNDS pp pp pp\n0 4\n-1 4.5\n0.5 5.5\n"


def assert_same(ours: Frames, other: Frames, close: bool = False) -> None:
    """Equal to the last bit in all columns; `close` allows for one unit of rounding."""
    for name in COLUMNS:
        a, b = getattr(ours, name), getattr(other, name)
        assert (a is None) == (b is None), name
        if a is not None and close:
            np.testing.assert_allclose(a, b, rtol=0, atol=1.1e-8, err_msg=name)
        elif a is not None:
            np.testing.assert_array_equal(a, b, err_msg=name)
    pd.testing.assert_frame_equal(ours.meta, other.meta)


def by_ase(path: Path, labels: bool = True, **arguments) -> Frames:
    return from_atoms([promote_calculator(a, labels) for a in read(path, ":", **arguments)])


def all_of(path: Path, **arguments) -> tuple[Frames, list[int], dict[int, str]]:
    """Frames, their indices, and the reasons of the broken ones, of a whole stream."""
    chunks = list(stream(path, **arguments))
    index = [i for chunk in chunks for i in chunk.index.tolist()]
    broken = {one.index: one.reason for chunk in chunks for one in chunk.broken}
    return concatenate([chunk.frames for chunk in chunks]), index, broken


def frame(*rows: str, n: int | str | None = None, comment: str = BOX) -> str:
    """One frame of an XYZ file; `n` is what it says of its number of atoms."""
    return f"{len(rows) if n is None else n}\n{comment}\n" + "".join(f"{row}\n" for row in rows)


PAIR = ("Al 0 0 0", "Al 2 2 2")
GOOD = frame(*PAIR, comment=f"{BOX} tag=good")
"""A sound frame of an XYZ file, and its rows."""


def dump(columns: str, rows: list[str], box: str = CUBE, step: int = 7, head: str = "") -> str:
    return (
        f"{head}ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(rows)}\n{box}"
        f"ITEM: ATOMS {columns}\n" + "".join(f"{row}\n" for row in rows)
    )


COLUMNS_OF_DUMP = "id type x y z"
ROWS_OF_DUMP = ["1 1 0 0 0", "2 1 2 2 2"]
GOOD_DUMP = dump(COLUMNS_OF_DUMP, ROWS_OF_DUMP)


def write_deepmd(folder: Path, n_atoms: int = 3, n_frames: int = 4, names: str = "Al Cu") -> Path:
    random = np.random.default_rng(1)
    for name in ("set.000", "set.001"):
        arrays = folder / name
        arrays.mkdir(parents=True)
        np.save(arrays / "coord.npy", random.random((n_frames, 3 * n_atoms)))
        np.save(arrays / "force.npy", random.random((n_frames, 3 * n_atoms)).astype(np.float32))
        np.save(arrays / "box.npy", np.tile(4 * np.eye(3).ravel(), (n_frames, 1)))
        np.save(arrays / "energy.npy", random.random(n_frames))
        np.save(arrays / "virial.npy", np.tile(np.arange(9.0), (n_frames, 1)))
    (folder / "type.raw").write_text("0\n1\n0\n")
    if names:
        (folder / "type_map.raw").write_text("\n".join(names.split()))
    return folder
