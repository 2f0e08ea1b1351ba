"""LAMMPS dumps: equal to ASE on what ASE reads, and broken frames named."""

import numpy as np
import pytest
from polymorphkd.readers import read_frames, text
from reading import (
    COLUMNS_OF_DUMP,
    CUBE,
    GOOD_DUMP,
    ROWS_OF_DUMP,
    all_of,
    assert_same,
    by_ase,
    dump,
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
