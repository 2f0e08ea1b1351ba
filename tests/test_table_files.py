"""Tables that are written as they come, in groups, with columns that change their mind."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from polymorphkd import table_files
from polymorphkd.errors import InputError
from polymorphkd.landscape import points
from polymorphkd.settings import Landscape
from polymorphkd.table_files import table_file


def written(path, tables) -> pd.DataFrame:
    """What is read back after `tables` were added one by one."""
    with table_file(path) as file:
        for table in tables:
            file.add(table)
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_pieces_make_the_table_that_they_are_pieces_of(suffix, tmp_path, monkeypatch, aluminium):
    monkeypatch.setattr(table_files, "ROWS_PER_GROUP", 5)
    whole = points(aluminium, Landscape(cutoff=3.4)).replace({"note": {"": "none"}})
    path = tmp_path / f"table{suffix}"
    found = written(path, [whole[:3], whole[3:4], whole[4:9], whole[9:]])
    pd.testing.assert_frame_equal(found, whole, check_exact=True)
    if suffix == ".parquet":
        assert pq.ParquetFile(path).num_row_groups == 2  # of 9 rows, and what is left


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([[None, None], ["a", "b"]], [None, None, "a", "b"]),
        ([[1, 2], [0.5, np.nan]], [1, 2, 0.5, np.nan]),
        ([["a"], [None], ["b"]], ["a", None, "b"]),
        ([[None], [3], [0.25], [None]], [np.nan, 3, 0.25, np.nan]),
    ],
    ids=["text", "number", "gap", "twice"],
)
def test_a_column_takes_the_type_that_holds_all_of_it(pieces, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "ROWS_PER_GROUP", 1)
    tables = [pd.DataFrame({"n": range(len(piece)), "value": piece}) for piece in pieces]
    found = written(tmp_path / "t.parquet", tables)
    assert found["n"].tolist() == [k for piece in pieces for k in range(len(piece))]
    pd.testing.assert_series_equal(
        found["value"], pd.Series(expected, name="value"), check_dtype=False
    )


def test_text_and_numbers_in_one_column_are_refused_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "ROWS_PER_GROUP", 1)
    tables = [pd.DataFrame({"value": [1.5]}), pd.DataFrame({"value": ["much"]})]
    with pytest.raises(InputError, match=r"t.parquet: a column holds text"):
        written(tmp_path / "t.parquet", tables)
    assert list(tmp_path.iterdir()) == []
    assert written(tmp_path / "t.csv", tables)["value"].tolist() == ["1.5", "much"]
