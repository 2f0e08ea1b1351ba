"""Streams of any format: chunks, compression, damage, and which files a pattern names."""

import bz2
import gzip
import lzma
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from ase.build import bulk
from ase.io import write
from polymorphkd.errors import InputError
from polymorphkd.frames import concatenate, from_atoms, to_table, write_frames
from polymorphkd.readers import expand_sources, read_at, read_frames, stream, text
from polymorphkd.readers.chunks import flat_cells
from reading import BOX, GOOD, GOOD_DUMP, all_of, assert_same, dump, write_deepmd


def test_chunks_are_bounded_and_do_not_change_the_frames(tmp_path, monkeypatch, aluminium):
    for name in ("a.extxyz", "a.parquet", "a.traj"):
        path = tmp_path / name
        write_frames(path, aluminium)
        whole = read_frames(path)
        monkeypatch.setattr(text, "BLOCK", 100)
        chunks = list(stream(path, atoms_per_chunk=9))
        assert len(chunks) >= 4
        assert max(len(chunk.frames.numbers) for chunk in chunks) <= 9 + 8
        assert_same(concatenate([chunk.frames for chunk in chunks]), whole)
        assert np.concatenate([chunk.index for chunk in chunks]).tolist() == list(range(12))
        assert_same(all_of(path, start_at=5)[0], whole.take(range(5, 12)))
        picked = read_at(path, [7, 2, 7])
        assert picked.frame_ids() == whole.take([7, 2, 7]).frame_ids()
        with pytest.raises(InputError, match="has no frame 12"):
            read_at(path, [12])


@pytest.mark.parametrize("name", ["a.extxyz", "a.dump", "a.parquet"])
def test_memory_does_not_depend_on_the_number_of_frames(tmp_path, monkeypatch, name):
    monkeypatch.setattr(text, "BLOCK", 1 << 16)
    peaks = []
    for n in (400, 4000):
        path = tmp_path / f"{n}{name}"
        if name == "a.extxyz":
            path.write_text((f"20\n{BOX} energy=1 a=b\n" + "Al 0.5 1.25 2.125\n" * 20) * n)
        elif name == "a.dump":
            path.write_text(dump("id type x y z", ["1 1 0 1 2"] * 20) * n)
        else:
            atoms = bulk("Al", cubic=True) * (5, 1, 1)
            write_frames(path, from_atoms([atoms] * n))
        list(stream(path, atoms_per_chunk=2000))  # whatever is made once
        tracemalloc.start()
        assert sum(len(chunk.frames) for chunk in stream(path, atoms_per_chunk=2000)) == n
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0] + 200_000
    assert peaks[1] < 4_000_000


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("name", ["a.extxyz", "POSCAR", "a.dump"])
def test_compressed_files(tmp_path, aluminium, suffix, name):
    plain = tmp_path / name
    if name == "a.dump":
        plain.write_text(GOOD_DUMP * 3)
    else:
        write(plain, aluminium.atoms(0), format="vasp" if name == "POSCAR" else "extxyz")
    compress = {
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
        ".zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    }[suffix]
    packed = tmp_path / f"{name}{suffix}"
    packed.write_bytes(compress(plain.read_bytes()))
    assert_same(read_frames(packed), read_frames(plain))


def test_a_damaged_compressed_file_keeps_the_frames_before(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "BLOCK", 1 << 10)
    random = np.random.default_rng(0)
    lines = [f"Al {x} {y} {z}\n" for x, y, z in random.random((2000, 3))]
    packed = tmp_path / "a.xyz.gz"
    data = gzip.compress("".join(f"1\n\n{line}" for line in lines).encode())
    packed.write_bytes(data[: len(data) // 2])
    _, index, broken = all_of(packed)
    assert index == list(range(len(index)))
    assert 500 < len(index) < 1500
    assert list(broken) == [len(index)]
    assert "compressed" in broken[len(index)]


def test_a_file_that_ase_cannot_finish_keeps_the_frames_before(tmp_path, aluminium):
    path = tmp_path / "a.traj"
    write(path, [aluminium.atoms(0)] * 3)
    path.write_bytes(path.read_bytes()[:-100])
    _, index, broken = all_of(path)
    assert index == [0, 1]
    assert list(broken) == [2]


def test_rows_of_a_table_that_do_not_fit_are_broken(tmp_path, aluminium):

    table = to_table(aluminium).to_pandas()
    table.at[3, "positions"] = table.at[3, "positions"][:-1]
    table.at[5, "positions"] = table.at[5, "positions"] * np.nan
    path = tmp_path / "a.parquet"
    table.to_parquet(path)
    _, index, broken = all_of(path)
    assert index == [0, 1, 2, 4, *range(6, 12)]
    assert sorted(broken) == [3, 5]
    table.drop(columns="cell").to_parquet(path)
    with pytest.raises(InputError, match="no column cell"):
        read_frames(path)


def test_an_empty_set_stays_a_set(tmp_path, aluminium):
    write_frames(tmp_path / "a.parquet", aluminium.with_meta(root="x").take([]))
    assert list(read_frames(tmp_path / "a.parquet").meta.columns) == ["root"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("absent.xyz", None, "no such file"),
        ("empty.xyz", b"", "the file is empty"),
        ("blank.xyz", b" \n\n", "the file is empty"),
        ("a.gz", b"no gzip", "cannot be read as structures"),
        ("unknown.suffix", b"whatever\n", "cannot be read as structures"),
        ("a.parquet", b"no table", "cannot be read as structures"),
    ],
)
def test_unusable_files_are_refused(tmp_path, name, data, message):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message) as error:
        list(stream(tmp_path / name))
    assert str(error.value).startswith(str(tmp_path / name))


def test_sources_in_order_and_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.xyz", "a.xyz", "deep/down/c.xyz", "odd[1].xyz"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(GOOD)
    write_deepmd(Path("data/one"))
    write_deepmd(Path("data/two"))

    def names(*patterns: str) -> list[str]:
        return [str(path) for path in expand_sources(patterns)]

    assert names("b.xyz", "*.xyz") == ["b.xyz", "a.xyz", "odd[1].xyz"]
    assert names("**/*.xyz", str(tmp_path / "a.xyz")) == [
        "a.xyz",
        "b.xyz",
        "deep/down/c.xyz",
        "odd[1].xyz",
    ]
    assert names("odd[1].xyz") == ["odd[1].xyz"]
    assert names("data") == names("data/*") == names("data/**") == ["data/one", "data/two"]
    assert names("data/one", "data/*/set.*/coord.npy") == ["data/one", "data/two"]
    for pattern in ("no*.xyz", "absent.xyz", "deep"):
        with pytest.raises(InputError, match=pattern.replace("*", r"\*")):
            expand_sources(["a.xyz", pattern])


def test_cells_are_flat_along_periodic_directions_only():
    box = 4.0 * np.eye(3)
    plane = np.array([[4, 0, 0], [0, 4, 0], [4, 4, 0.0]])
    slab = np.array([[4, 0, 0], [0, 4, 0], [0, 0, 0.0]])
    cells = np.array([box, plane, slab, slab, np.zeros((3, 3)), box * 1e5])
    pbc = np.array([[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 0], [0, 0, 0], [1, 1, 1]], dtype=bool)
    assert flat_cells(cells, pbc).tolist() == [False, True, True, False, False, False]
