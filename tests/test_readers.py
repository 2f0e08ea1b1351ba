"""Readers: equal to ASE on what ASE reads, on with the next frame where it gives up."""

import bz2
import gzip
import lzma
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from polymorphkd.errors import InputError
from polymorphkd.frames import Frames, concatenate, from_atoms, write_frames
from polymorphkd.readers import expand_sources, read_at, read_frames, stream, text
from polymorphkd.readers.ase_formats import promote_calculator
from polymorphkd.readers.chunks import flat_cells
from polymorphkd.readers.comment import ASE_NAMES, RESULTS, parse_comment
from polymorphkd.readers.kernels import REAL, parse_rows

COLUMNS = ("offsets", "numbers", "positions", "cells", "pbc", "energy", "forces", "stress")


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


# ---- numbers ---------------------------------------------------------------------------------


def test_names_of_columns_are_those_of_ase() -> None:
    from ase.io import extxyz

    assert ASE_NAMES == extxyz.REV_PROPERTY_NAME_MAP
    assert set(extxyz.per_config_properties) == RESULTS


def test_numbers_are_correctly_rounded():
    """Equal to Python's float, or left to it; the usual forms are never left to it."""
    random = np.random.default_rng(5)
    values = random.normal(size=4000) * 10.0 ** random.integers(-6, 5, 4000)
    usual = [form.format(v) for v in values for form in ("{:.8f}", "{:.15f}", "{!r}", "{:g}")]
    usual = [token.removeprefix("np.float64(").removesuffix(")") for token in usual]
    hard = ["9007199254740993", "9007199254740992.5", "4503599627370497.5", "0.5", "1.", "-.5"]
    hard += ["+1e5", "1E-5", "-0.0", "1e22", "1e23", "123456789012345678e-20", "5e-324", "1e400"]
    hard += ["18014398509481985e-1", "00000000000000000000001.5", "0.1000000000000000055511151"]
    tokens = usual + hard
    n = len(tokens)
    values, odd = np.full((n, 8), 7.7), np.zeros((n, 4), dtype=np.int64)
    data = np.frombuffer(("\n".join(tokens) + "\n").encode(), dtype=np.uint8)
    kinds, slots = np.array([REAL]), np.array([0])
    n_read, position, n_odd = parse_rows(
        data, 0, n, kinds, slots, 0, np.zeros(n, dtype=np.int64), values, odd
    )
    assert (n_read, position) == (n, len(data))
    sure = np.setdiff1d(np.arange(n), odd[:n_odd, 0])
    np.testing.assert_array_equal(values[sure, 0], [float(tokens[i]) for i in sure])
    assert n_odd < 0.03 * n


@pytest.mark.parametrize("token", ["nan", "1_0", "1d5", "1..2", "0x1", "--1", "1e", ".", "1,0"])
def test_odd_numbers_are_what_python_says(tmp_path, token):
    path = tmp_path / "a.xyz"
    path.write_text(f"1\n\nAl 0 0 0\n1\n\nAl 0 0 {token}\n1\n\nAl 0 0 1\n")
    frames, index, broken = all_of(path)
    try:
        value = float(token)
    except ValueError:
        value = np.nan
    if np.isfinite(value):
        assert frames.positions[1, 2] == value
    else:
        assert index == [0, 2]
        assert "atom 0" in broken[1]


# ---- XYZ -------------------------------------------------------------------------------------

BOX = 'Lattice="4 0 0 0 4.5 0 0 0.1 5"'
COMMENTS = [
    "",
    "   ",
    "Cubic bulk silicon cell",
    "i = 5, time = 0.5, E = -1.0",
    BOX,
    f'{BOX} pbc="T T F"',
    f"{BOX} pbc=F",
    f'{BOX} pbc="1 0 1"',
    'pbc="F F F"',
    "Lattice='4 0 0 0 4.5 0 0 0.1 5' name='a b'",
    "Lattice=[4 0 0 0 4.5 0 0 0.1 5] name={a b}",
    'Lattice = "4,0,0,0,4.5,0,0,0.1,5"',
    f"{BOX} Properties=species:S:1:pos:R:3 energy=-1.5",
    f'{BOX} energy=-1.5 free_energy=-1.6 magmom=0.1 dipole="1 2 3"',
    f"{BOX} REF_energy=-1 energy=-2 config_type=liquid frame_id=f12",
    f'{BOX} REF_energy=-1 REF_stress="1 2 3 4 5 6"',
    f'{BOX} energy=-1 stress="1 4 5 4 2 6 5 6 3" virial="1 0 0 0 1 0 0 0 1"',
    f'{BOX} text="a = b" more="T T F" flag other=T none=F list="1 2 3" one=[1]',
    f'{BOX} json="_JSON {{\\"a\\": 1}}" esc="say \\"x\\"" nan=nan inf=inf under=1_0 hex=0x1',
    f"{BOX} a=b=c uid=17 UID=x tRuE=tRuE word=Total date=2020-01-01 big=99999999999999999999",
    f"{BOX} umlaut=ä euro=€ comma=a,b mixed=1,b",
    f'{BOX} empty="" next=1 a.b=3 7=8',
    f"{BOX} twice=1 twice=two +x=1 y=+3 z=-.5e-3 w=1e5",
]


@pytest.mark.parametrize("comment", COMMENTS)
def test_comments_mean_what_they_mean_to_ase(tmp_path, comment):
    path = tmp_path / "a.xyz"
    path.write_text(f"2\n{comment}\nAl 0.5 0 0\nal 2 2 2.00000001\n" * 3, encoding="utf-8")
    for labels in (True, False):
        assert_same(read_frames(path, labels), by_ase(path, labels))


def test_plain_entries_do_not_go_through_ase():
    info = parse_comment('a=1 b=-1.5e-3 c="two words" d=word Lattice="1 0 0 0 1 0 0 0 1"')
    assert info.pop("Lattice").shape == (3, 3)
    assert info == {"a": 1, "b": -1.5e-3, "c": "two words", "d": "word"}
    assert isinstance(info["a"], np.int64)


ROWS = [
    ("species:S:1:pos:R:3:forces:R:3", "SI 0 0 0 1 2 3"),
    ("species:S:1:pos:R:3:REF_forces:R:3", "Si 0 0 0 1 2 3"),
    ("species:S:1:pos:R:3:forces:R:3:REF_forces:R:3", "Si 0 0 0 1 2 3 4 5 6"),
    ("Z:I:1:pos:R:3", "14 0 0 0"),
    ("species:S:1:Z:I:1:pos:R:3", "whatever 14 0 0 0"),
    ("id:I:1:species:S:1:pos:R:3:vel:R:3:select:L:1", "7 Si 0 0 0 0.1 0.2 0.3 T"),
    ("pos:R:3:species:S:1", "1.5\t0 -0 X"),
    ("species:S:1:pos:R:3", "H 1 2 3 and more"),
    ("species:S:1:pos:R:3:magmoms:R:1:initial_charges:R:1", "Fe 1 2 3 2.2 0.1"),
    ("species:S:1:pos:R:3:move_mask:L:1", "Fe 1 2 3 T"),
    ("species:S:1:pos:R:3:tags:I:1:name:S:2", "Fe 1 2 3 -4 a b"),
    ("symbols:S:1:positions:R:3", "Fe 1 2 3"),
    ("pos:R:3", "1 2 3"),
]


@pytest.mark.parametrize(("properties", "row"), ROWS)
@pytest.mark.parametrize("energy", ["", "energy=-2", "REF_energy=-3"])
def test_columns_mean_what_they_mean_to_ase(tmp_path, properties, row, energy):
    path = tmp_path / "a.extxyz"
    path.write_text(f"2\n{BOX} Properties={properties} {energy}\n{row}\n{row}\n" * 2)
    for labels in (True, False):
        assert_same(read_frames(path, labels), by_ase(path, labels))


def test_cell_vectors_of_adf_and_windows_line_ends(tmp_path):
    adf = tmp_path / "adf.xyz"
    frame = "1\nwords here\nH 0 0 0\nVEC1 3 0 0\nVEC2 0 3 0\n"
    adf.write_text(frame * 2)
    assert_same(read_frames(adf), by_ase(adf))
    windows = tmp_path / "windows.xyz"
    windows.write_bytes(f"1\r\n{BOX} a=b\r\nH 0 0 0\r\n".encode() * 2)
    assert_same(read_frames(windows), by_ase(windows))


def test_published_files_read_as_with_ase(shared_data):
    files = sorted((shared_data / "labelled").glob("*.extxyz"))
    for path in [*files, shared_data / "si216_melting.extxyz"]:
        assert_same(read_frames(path), by_ase(path, labels=False))


def test_random_frames_read_as_with_ase(tmp_path):
    """Sizes, elements, boundaries and labels change from frame to frame."""
    random = np.random.default_rng(0)
    images = []
    for i in range(40):
        n = int(random.integers(1, 30))
        atoms = Atoms(
            numbers=random.integers(1, 100, n),
            positions=random.normal(0, 10, (n, 3)),
            cell=random.normal(0, 1, (3, 3)) + 5 * np.eye(3),
            pbc=random.random(3) < 0.5,
            info={
                "i": i,
                "x": float(random.normal()),
                "flag": bool(i % 2),
                f"only{i % 3}": "text",
            },
        )
        if i % 4 == 0:
            atoms.arrays["REF_forces"] = random.normal(size=(n, 3))
            atoms.info["REF_energy"] = -float(i)
        elif i % 4 == 1:
            atoms.calc = SinglePointCalculator(
                atoms, energy=-1.0 * i, forces=random.normal(size=(n, 3)), stress=np.arange(6.0)
            )
        images.append(atoms)
    path = tmp_path / "a.extxyz"
    write(path, images)
    for labels in (True, False):
        assert_same(read_frames(path, labels), by_ase(path, labels))


# ---- broken frames ---------------------------------------------------------------------------

GOOD = f"2\n{BOX} tag=good\nAl 0 0 0\nAl 2 2 2\n"
BROKEN_XYZ = {
    "one atom less": (f"3\n{BOX}\nAl 0 0 0\nAl 2 2 2\n", "fewer than 4 columns"),
    "two atoms less": (f"4\n{BOX}\nAl 0 0 0\nAl 2 2 2\n", "fewer than 4 columns"),
    "one atom more": (
        f"2\n{BOX}\nAl 0 0 0\nAl 2 2 2\nAl 1 1 1\n",
        "more lines of atoms than the 2",
    ),
    "bad number": (f"2\n{BOX}\nAl 0 0 0\nAl 2 2.o 2\n", "atom 1: '2.o' is no number"),
    "nan": (f"2\n{BOX}\nAl 0 0 0\nAl 2 nan 2\n", "atom 1 has a position that is not a finite"),
    "infinite": (f"2\n{BOX}\nAl 0 0 inf\nAl 2 2 2\n", "atom 0 has a position that is not"),
    "element": (f"2\n{BOX}\nAl 0 0 0\nQq 2 2 2\n", "atom 1: 'Qq' is an unknown element"),
    "number of element": (
        f"1\n{BOX} Properties=Z:I:1:pos:R:3\n900 0 0 0\n",
        "atom 0 has an unknown element",
    ),
    "half a line": (f"2\n{BOX}\nAl 0 0 0\nAl 2\n", "fewer than 4 columns"),
    "number of atoms": (f"two\n{BOX}\nAl 0 0 0\nAl 2 2 2\n", "number of atoms is 'two'"),
    "huge number of atoms": (f"99999999999\n{BOX}\nAl 0 0 0\n", "fewer than 4 columns"),
    "negative number": (f"-2\n{BOX}\nAl 0 0 0\n", "number of atoms is -2"),
    "no atoms": (f"0\n{BOX}\n", "holds no atoms"),
    "lattice": ('1\nLattice="4 0 0 0 4"\nAl 0 0 0\n', "comment line is malformed"),
    "no vector": ('1\nLattice="4 0 0 0 4 0 0 0 0"\nAl 0 0 0\n', "a cell vector is missing"),
    "flat cell": ('1\nLattice="4 0 0 0 4 0 4 4 0"\nAl 0 0 0\n', "the cell is singular"),
    "no cell": ('1\npbc="T T T"\nAl 0 0 0\n', "a cell vector is missing"),
    "properties": (f"1\n{BOX} Properties=species:S:1\nAl 0 0 0\n", "no pos:R:3"),
    "energy": (f"1\n{BOX} REF_energy=low\nAl 0 0 0\n", "malformed"),
    "no text": (f"1\n{BOX}\nAl 0 0 \x00\n", "is no number"),
    "garbage": ("here the disk\nwas full\n\n", "number of atoms is 'here the disk'"),
}


@pytest.mark.parametrize("name", BROKEN_XYZ)
@pytest.mark.parametrize("block", [1 << 22, 16])
def test_a_broken_frame_costs_itself_only(tmp_path, monkeypatch, name, block):
    bad, reason = BROKEN_XYZ[name]
    monkeypatch.setattr(text, "BLOCK", block)  # windows that end anywhere
    path = tmp_path / "a.extxyz"
    path.write_text(GOOD * 2 + bad + GOOD * 2 + bad + GOOD)
    frames, index, broken = all_of(path)
    assert index == [0, 1, 3, 4, 6]
    assert sorted(broken) == [2, 5]
    assert all(reason in text for text in broken.values()), broken
    assert list(frames.n_atoms) == [2] * 5
    for start in range(8):  # frames passed over are counted as those that are read
        assert all_of(path, start_at=start)[1] == [i for i in index if i >= start]
    assert len(read_at(path, [6, 0, 3])) == 3
    with pytest.raises(InputError, match=r"a\.extxyz: frame 2: "):
        read_at(path, [3, 2])
    with pytest.raises(InputError, match=r"a\.extxyz: cannot be read as structures \(frame 2: "):
        read_frames(path)


@pytest.mark.parametrize("lost", range(1, len(GOOD)))
def test_a_file_cut_off_anywhere_keeps_the_frames_before(tmp_path, lost):
    path = tmp_path / "a.xyz"
    path.write_text((GOOD * 3)[:-lost])
    _, index, broken = all_of(path)
    # Digits lost at the end of the last number cannot be seen; a newline is not needed.
    assert index in ([0, 1], [0, 1, 2])
    assert set(broken) == {0, 1, 2} - set(index)
    assert (len(index) == 3) == (lost <= 1)


def test_blank_lines_between_frames_are_passed_over(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("\n" + GOOD + "\n  \n" + GOOD + "\n\n")
    assert all_of(path)[1:] == ([0, 1], {})


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


# ---- LAMMPS dumps ----------------------------------------------------------------------------

CUBE = "ITEM: BOX BOUNDS pp pp pp\n0 4\n-1 4.5\n0.5 5.5\n"


def dump(columns: str, rows: list[str], box: str = CUBE, step: int = 7, head: str = "") -> str:
    return (
        f"{head}ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(rows)}\n{box}"
        f"ITEM: ATOMS {columns}\n" + "".join(f"{row}\n" for row in rows)
    )


TILTED = "ITEM: BOX BOUNDS xy xz yz pp ff ss\n-0.5 4.3 0.3\n0 4 -0.2\n0 5e0 0.1\n"
GENERAL = "ITEM: BOX BOUNDS abc origin pp pp ff\n4 0.1 0 1\n0.2 4 0.3 2\n0 0.4 5 3\n"
DUMPS = [
    ("id type x y z", ["2 1 1 2 3", "1 2 0 0 0.25"], CUBE),
    ("id type xs ys zs", ["2 1 0.1 0.2 0.3", "1 2 0 0 0.25"], CUBE),
    ("id type xs ys zs", ["2 1 0.1 0.2 0.3", "1 2 0 0 0.25"], TILTED),
    ("id type xsu ysu zsu ix iy iz", ["2 1 0.1 1.2 -0.3 0 0 0", "1 2 0 0 0.25 1 1 1"], GENERAL),
    ("id element xu yu zu fx fy fz", ["9 Al 1 2 3 4 5 6", "3 Cu 1 1 1 0 0 1e-3"], TILTED),
    ("type x y z vx vy vz q", ["1 0 0 0 1 1 1 0.5", "3 1 1 1 0 0 0 -1"], GENERAL),
    ("id mass type x y z c_pe i_tag", ["1 26.98 1 0 0 0 -3.3 4", "2 63.5 2 1 1 1 0 5"], CUBE),
    ("id type x y z", ["1 1 0 0 0"], "ITEM: BOX BOUNDS xy xz yz\n0 4 0\n0 4 0\n0 5 0\n"),
]


@pytest.mark.parametrize(("columns", "rows", "box"), DUMPS)
def test_dumps_read_as_with_ase(tmp_path, columns, rows, box):
    path = tmp_path / "a.lammpstrj"
    path.write_text(dump(columns, rows, box) + dump(columns, rows[::-1], box, step=9))
    expected = by_ase(path, format="lammps-dump-text")
    expected.energy = None  # ASE invents 0 eV where there are forces
    if "xy xz yz\n" in box:
        expected.pbc[:] = False  # ASE takes the names of the tilts for boundaries
    assert_same(read_frames(path, labels_from_calculator=True), expected, close=True)
    assert read_frames(path).forces is None


def test_units_of_a_dump_hold_for_the_whole_file(tmp_path):
    path = tmp_path / "a.dump"
    rows = ["1 Al 1 0 0 1 0 0"]
    columns = "id element x y z fx fy fz"
    head = "ITEM: UNITS\nelectron\nITEM: TIME\n0.5\n"
    path.write_text(dump(columns, rows, head=head) + dump(columns, rows))
    for start in (0, 1):
        frames, _, broken = all_of(path, start_at=start)
        assert not broken
        np.testing.assert_allclose(frames.positions[:, 0], 0.529177, atol=1e-6)
        np.testing.assert_allclose(frames.cells[:, 0, 0], 4 * 0.529177, atol=1e-5)
        np.testing.assert_allclose(frames.forces[:, 0], 51.42207, atol=1e-4)


COLUMNS_OF_DUMP = "id type x y z"
ROWS_OF_DUMP = ["1 1 0 0 0", "2 1 2 2 2"]
GOOD_DUMP = dump(COLUMNS_OF_DUMP, ROWS_OF_DUMP)
BROKEN_DUMPS = {
    "atom less": (GOOD_DUMP.replace("2 1 2 2 2\n", ""), "1 of 2 atoms are followed by"),
    "atom more": (GOOD_DUMP + "3 1 1 1 1\n", "more lines of atoms than the 2"),
    "bad number": (
        GOOD_DUMP.replace("2 1 2 2 2", "2 1 2 2 1.1.1"),
        "atom 1: '1.1.1' is no number",
    ),
    "bad type": (GOOD_DUMP.replace("2 1 2 2 2", "2 Al 2 2 2"), "atom 1: 'Al' is no integer"),
    "nan": (GOOD_DUMP.replace("2 1 2 2 2", "2 1 2 2 nan"), "atom 1 has a position"),
    "count": (GOOD_DUMP.replace("ATOMS\n2", "ATOMS\ntwo"), "NUMBER OF ATOMS' is malformed"),
    "box": (GOOD_DUMP.replace("0 4\n", "0\n"), "malformed"),
    "flat": (GOOD_DUMP.replace("0 4\n", "0 0\n"), "cell vector is missing"),
    "no box": (GOOD_DUMP.replace(CUBE, ""), "no section with its box"),
    "columns": (GOOD_DUMP.replace("x y z", "x y w"), "no columns x y z"),
    "no atoms section": (GOOD_DUMP.split("ITEM: ATOMS")[0], "no section with its atoms"),
    "units": (GOOD_DUMP.replace("ITEM: NUM", "ITEM: UNITS\nmiles\nITEM: NUM"), "unknown units"),
    "empty section": (GOOD_DUMP.replace("TIMESTEP\n7\n", "TIMESTEP\n"), "is empty"),
}


@pytest.mark.parametrize("name", BROKEN_DUMPS)
@pytest.mark.parametrize("block", [1 << 22, 16])
def test_a_broken_frame_of_a_dump_costs_itself_only(tmp_path, monkeypatch, name, block):
    bad, reason = BROKEN_DUMPS[name]
    good = dump(COLUMNS_OF_DUMP, ROWS_OF_DUMP, head="ITEM: UNITS\nmetal\n")
    monkeypatch.setattr(text, "BLOCK", block)
    path = tmp_path / "a.dump"
    path.write_text(good + GOOD_DUMP + bad + good + bad + good)
    _, index, broken = all_of(path)
    assert index == [0, 1, 3, 5]
    assert sorted(broken) == [2, 4]
    assert all(reason in text for text in broken.values()), broken
    for start in range(7):
        assert all_of(path, start_at=start)[1] == [i for i in index if i >= start]


def test_a_dump_cut_off_anywhere_keeps_the_frames_before(tmp_path):
    path = tmp_path / "a.dump"
    for lost in range(2, len(GOOD_DUMP)):
        path.write_text((GOOD_DUMP * 2)[:-lost])
        _, index, broken = all_of(path)
        assert (index, sorted(broken)) == ([0], [1]), lost


# ---- other formats ---------------------------------------------------------------------------


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
    path = tmp_path / "XDATCAR"
    write(path, [aluminium.atoms(0)] * 3, format="vasp-xdatcar")
    path.write_text(path.read_text()[:-200] + "broken off\n")
    _, index, broken = all_of(path)
    assert index == list(range(len(index)))
    assert list(broken) == [len(index)]


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


def test_deepmd_folders(tmp_path):
    folder = write_deepmd(tmp_path / "system")
    frames, index, broken = all_of(folder, atoms_per_chunk=7)
    assert (index, broken) == (list(range(8)), {})
    coord = np.load(folder / "set.001/coord.npy")
    np.testing.assert_allclose(frames.positions[15:18], coord[1].reshape(3, 3), atol=1e-8)
    assert frames.numbers[:3].tolist() == [13, 29, 13]
    assert frames.energy[5] == np.load(folder / "set.001/energy.npy")[1]
    assert frames.forces[3, 1] == np.load(folder / "set.000/force.npy")[1, 1]
    np.testing.assert_allclose(frames.stress[0], -np.array([0, 4, 8, 5, 2, 1]) / 64)
    assert frames.pbc.all()
    assert read_at(folder, [6, 1]).frame_ids() == frames.take([6, 1]).frame_ids()
    (folder / "nopbc").touch()
    assert not read_frames(folder).pbc.any()
    (folder / "type_map.raw").unlink()
    assert read_frames(folder).numbers[:3].tolist() == [1, 2, 1]
    coord[2, 0] = np.nan
    np.save(folder / "set.001/coord.npy", coord)
    assert list(all_of(folder)[2]) == [6]


def test_mixed_deepmd_folders_hide_their_padding(tmp_path):
    folder = write_deepmd(tmp_path / "system")
    types = np.array([[0, 1, 0], [1, 1, -1], [0, 9, 0], [1, 0, 0]])
    for name in ("set.000", "set.001"):
        np.save(folder / name / "real_atom_types.npy", types)
    frames, index, broken = all_of(folder)
    assert index == [0, 1, 3, 4, 5, 7]
    assert sorted(broken) == [2, 6]
    assert frames.numbers[:5].tolist() == [13, 29, 13, 29, 29]
    assert frames.n_atoms.tolist() == [3, 2, 3] * 2


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("type_map.raw", "Al Qq", "unknown element 'Qq'"),
        ("type_map.raw", "Al", "types that type_map.raw does not"),
        ("set.000/coord.npy", "no array", "system: cannot be read"),
        ("set.001/box.npy", None, "set.001/box.npy: no such file"),
        ("type.raw", "0\n1\n", "coord.npy has shape"),
    ],
)
def test_deepmd_folders_that_do_not_fit_are_refused(tmp_path, file, content, message):
    folder = write_deepmd(tmp_path / "system")
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(InputError, match=message):
        read_frames(folder)


def test_rows_of_a_table_that_do_not_fit_are_broken(tmp_path, aluminium):
    from polymorphkd.frames import to_table

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


# ---- names of sources ------------------------------------------------------------------------


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
