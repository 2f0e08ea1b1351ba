"""Parquet of this project, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..frames import from_table
from .chunks import Chunk, Request, screened
from .sources import unreadable

WIDTHS = {"positions": 3, "forces": 3}
"""Values per atom in the list columns that hold something per atom."""

SIZES = {"cell": 9, "pbc": 3, "stress": 6}
"""Values per frame in the list columns of fixed length."""


def read(request: Request) -> Iterator[Chunk]:
    """Chunks of a Parquet file; memory holds one batch, whatever the row groups."""
    try:
        # Without pre_buffer pages are decoded as they are needed.
        file = pq.ParquetFile(request.path, buffer_size=1 << 20, pre_buffer=False)
        names = set(file.schema_arrow.names)
        missing = {"numbers", "positions", "cell", "pbc"} - names
        if missing:
            raise unreadable(request.path, f"no column {', '.join(sorted(missing))}")
        if not file.metadata.num_rows:  # an empty set is a valid one, with its columns
            yield screened(request, from_table(file.read()), np.zeros(0, dtype=np.int64))
        yield from _batches(request, file)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(request.path, str(error)) from error


def _batches(request: Request, file: pq.ParquetFile) -> Iterator[Chunk]:
    first = 0
    groups = []
    for group in range(file.metadata.num_row_groups):
        n_rows = file.metadata.row_group(group).num_rows
        inside = np.arange(first, first + n_rows)
        if request.wanted.mask(inside).any():
            groups.append((group, first))
        first += n_rows
    for group, start in groups:
        position = start
        rows = max(1, request.atoms_per_chunk // _atoms_per_row(file, group))
        for batch in file.iter_batches(rows, row_groups=[group]):
            index = np.arange(position, position + batch.num_rows)
            position += batch.num_rows
            keep = request.wanted.mask(index)
            if not keep.any():
                continue
            sound = _sound(batch)
            broken = [
                request.broken(int(i), "lists of the row do not fit its number of atoms")
                for i in index[keep & ~sound]
            ]
            table = pa.Table.from_batches([batch])
            if not (keep & sound).all():
                table = table.filter(pa.array(keep & sound))
            yield screened(request, from_table(table), index[keep & sound], broken)


def _atoms_per_row(file: pq.ParquetFile, group: int) -> int:
    meta = file.metadata.row_group(group)
    for column in range(meta.num_columns):
        if meta.column(column).path_in_schema.startswith("numbers."):
            return max(1, meta.column(column).num_values // max(1, meta.num_rows))
    return 1


def _sound(batch: pa.RecordBatch) -> np.ndarray:
    """Rows whose lists have the lengths that their number of atoms asks for, bool."""

    def lengths(name: str) -> np.ndarray:
        return pc.list_value_length(batch[name]).fill_null(-1).to_numpy(zero_copy_only=False)

    sizes = lengths("numbers")
    sound = sizes >= 0
    for name, width in WIDTHS.items():
        if name in batch.schema.names:
            sound &= lengths(name) == width * sizes
    for name, size in SIZES.items():
        if name in batch.schema.names:
            sound &= lengths(name) == size
    return sound
