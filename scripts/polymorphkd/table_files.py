"""Tables of any length, written as they come: Parquet in row groups, or CSV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .errors import InputError
from .provenance import atomic_path

ROWS_PER_GROUP = 20_000
"""Rows that wait in memory for their group; small groups make large and slow files."""


class TableWriter:
    """Rows to one file, group by group; made by :func:`table_file`.

    Parameters
    ----------
    path : path
        Where to write; its suffix decides the format.
    name : path
        What messages call the file.

    Attributes
    ----------
    n_rows : int
        Rows added so far.
    """

    def __init__(self, path: Path, name: Path) -> None:
        self.n_rows = 0
        self._path, self._name = path, name
        self._waiting: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None
        self._schema = pa.schema([])

    def add(self, table: pd.DataFrame) -> None:
        """Append rows; every table has the same columns.

        Raises
        ------
        InputError
            A column holds text here and numbers there, which Parquet cannot.
        """
        first = self.n_rows == 0
        self.n_rows += len(table)
        if self._path.suffix == ".csv":
            table.to_csv(self._path, mode="w" if first else "a", header=first, index=False)
            return
        with self._one_type_per_column():
            rows = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata()
        self._waiting.append(rows)
        if sum(len(rows) for rows in self._waiting) >= ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        """Write the rows that wait, and finish the file."""
        if self._waiting:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        with self._one_type_per_column():
            rows = pa.concat_tables(self._waiting, promote_options="permissive")
            self._waiting = []
            schema = pa.unify_schemas([self._schema, rows.schema], promote_options="permissive")
            if schema != self._schema:
                self._start(schema)
            assert self._writer is not None
            self._writer.write_table(rows.cast(schema))

    def _start(self, schema: pa.Schema) -> None:
        """Begin the file, or begin anew: a column was missing throughout, or whole numbers."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, schema)
        else:
            self._writer.close()
            with pq.ParquetFile(self._path) as old:
                self._path.unlink()  # what is open can still be read
                self._writer = pq.ParquetWriter(self._path, schema)
                for k in range(old.num_row_groups):
                    self._writer.write_table(old.read_row_group(k).cast(schema))
        self._schema = schema

    @contextmanager
    def _one_type_per_column(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InputError(
                f"{self._name}: a column holds text in some frames and numbers in others, which "
                f"Parquet cannot keep; write .csv ({error})"
            ) from error


@contextmanager
def table_file(path: Path) -> Iterator[TableWriter]:
    """Table to be filled; it takes its place at the end, or not at all if an error ends it."""
    with atomic_path(path) as temporary:
        writer = TableWriter(temporary, path)
        yield writer
        writer.close()
