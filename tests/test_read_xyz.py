"""XYZ files: equal to ASE on what ASE reads."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from polymorphkd.readers import read_frames
from polymorphkd.readers.comment import ASE_NAMES, RESULTS, parse_comment
from polymorphkd.readers.kernels import REAL, parse_rows
from reading import BOX, all_of, assert_same, by_ase


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
