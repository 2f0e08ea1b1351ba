"""XYZ files with broken frames: named by index and reason, and on with the next."""

import pytest
from polymorphkd.errors import InputError
from polymorphkd.readers import read_at, read_frames, text
from reading import BOX, GOOD, PAIR, all_of, frame

BROKEN_XYZ = {
    "one atom less": (frame(*PAIR, n=3), "fewer than 4 columns"),
    "two atoms less": (frame(*PAIR, n=4), "fewer than 4 columns"),
    "one atom more": (frame(*PAIR, "Al 1 1 1", n=2), "more lines of atoms than the 2"),
    "bad number": (frame("Al 0 0 0", "Al 2 2.o 2"), "atom 1: '2.o' is no number"),
    "nan": (frame("Al 0 0 0", "Al 2 nan 2"), "atom 1 has a position that is not a finite"),
    "infinite": (frame("Al 0 0 inf", "Al 2 2 2"), "atom 0 has a position that is not"),
    "element": (frame("Al 0 0 0", "Qq 2 2 2"), "atom 1: 'Qq' is an unknown element"),
    "number of element": (
        frame("900 0 0 0", comment=f"{BOX} Properties=Z:I:1:pos:R:3"),
        "atom 0 has an unknown element",
    ),
    "half a line": (frame("Al 0 0 0", "Al 2"), "fewer than 4 columns"),
    "number of atoms": (frame(*PAIR, n="two"), "number of atoms is 'two'"),
    "huge number of atoms": (frame(PAIR[0], n=99999999999), "fewer than 4 columns"),
    "negative number": (frame(PAIR[0], n=-2), "number of atoms is -2"),
    "no atoms": (frame(), "holds no atoms"),
    "lattice": (frame(PAIR[0], comment='Lattice="4 0 0 0 4"'), "comment line is malformed"),
    "no vector": (
        frame(PAIR[0], comment='Lattice="4 0 0 0 4 0 0 0 0"'),
        "a cell vector is missing",
    ),
    "flat cell": (
        frame(PAIR[0], comment='Lattice="4 0 0 0 4 0 4 4 0"'),
        "the cell is singular",
    ),
    "no cell": (frame(PAIR[0], comment='pbc="T T T"'), "a cell vector is missing"),
    "properties": (frame(PAIR[0], comment=f"{BOX} Properties=species:S:1"), "no pos:R:3"),
    "energy": (frame(PAIR[0], comment=f"{BOX} REF_energy=low"), "malformed"),
    "no text": (frame("Al 0 0 \x00"), "is no number"),
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
