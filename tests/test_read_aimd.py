"""ML_AB of VASP's machine-learned force fields, and XDATCAR of a cell that changes."""

import gzip
import re

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write
from ml_ab import ml_ab
from polymorphkd.cli import main
from polymorphkd.config import validate
from polymorphkd.errors import InputError
from polymorphkd.readers import read_at, read_frames, stream
from polymorphkd.seeds import collect


def labelled_images() -> list[Atoms]:
    """Systems of several sizes and compositions, sheared so that all stresses differ."""
    random = np.random.default_rng(4)
    alloy = bulk("Al", "fcc", 4.0, cubic=True).repeat((2, 1, 1))
    alloy.symbols[5:] = "Cu"
    images = [bulk("Al", "fcc", 4.0, cubic=True), alloy, bulk("Cu", "bcc", 2.9, cubic=True)]
    for image in images:
        image.set_cell(image.cell @ (np.eye(3) + random.normal(0, 0.03, (3, 3))), scale_atoms=True)
        image.positions += random.normal(0, 0.08, image.positions.shape)
        image.calc = EMT()
    return images


@pytest.fixture
def images() -> list[Atoms]:
    return labelled_images()


@pytest.mark.parametrize("ctifor", [True, False])
def test_every_configuration_comes_back_with_its_labels(tmp_path, images, ctifor):
    path = tmp_path / "ML_AB"
    path.write_text(ml_ab(images, ctifor))
    frames = read_frames(path)
    assert len(frames) == 3
    for i, image in enumerate(images):
        atoms = frames.atoms(i)
        assert atoms.get_chemical_symbols() == image.get_chemical_symbols()
        np.testing.assert_allclose(atoms.positions, image.positions, atol=1e-7)
        np.testing.assert_allclose(atoms.cell, image.cell, atol=1e-7)
        assert atoms.pbc.all()
        assert frames.energy[i] == pytest.approx(image.get_potential_energy(), abs=1e-9)
        np.testing.assert_allclose(
            frames.forces[frames.atoms_of(i)], image.get_forces(), atol=1e-9
        )
        np.testing.assert_allclose(frames.stress[i], image.get_stress(), atol=1e-9)
    assert len(set(np.round(frames.stress[1], 6))) == 6  # so their order is tested


def test_compressed_in_chunks_and_by_index(tmp_path, images):
    path = tmp_path / "run7.ML_ABN.gz"
    path.write_bytes(gzip.compress(ml_ab(images).encode()))
    chunks = list(stream(path, atoms_per_chunk=5))
    assert [chunk.index.tolist() for chunk in chunks] == [[0, 1], [2]]
    assert not any(chunk.broken for chunk in chunks)
    assert read_at(path, [1, 0]).n_atoms.tolist() == [8, 4]
    assert [c.index.tolist() for c in stream(path, start_at=2)] == [[2]]


def test_types_that_vasp_tells_apart_are_one_element(tmp_path, images):
    path = tmp_path / "ML_AB"
    path.write_text(ml_ab(images[2:], names=[["Cu", "Cu"]]).replace("  Cu      2", "  C1 2", 1))
    assert read_frames(path).numbers.tolist() == [6, 6]


def broken(text: str, case: str) -> str:
    lines = text.splitlines(keepends=True)
    forces = [i for i, line in enumerate(lines) if "Forces" in line]
    if case == "cut in a configuration":
        return "".join(lines[: forces[2] + 3])
    if case == "cut between configurations":
        third = [i for i, line in enumerate(lines) if "Configuration num." in line][2]
        return "".join(lines[: third - 1])
    if case == "a force is missing":
        return "".join(lines[: forces[1] + 2] + lines[forces[1] + 3 :])
    if case == "no number":
        lines[forces[1] + 2] = " ********************** 0.1 0.2\n"
        return "".join(lines)
    if case == "counts differ":
        return re.sub(r"(numbers\n-+\n     Al +)4", r"\g<1>5", text, count=1)
    if case == "no energy":
        return text.replace("Total energy (eV)", "Total charge (e)", 1)
    return text.replace("     Cu      3", "     Qq      3", 1)


@pytest.mark.parametrize(
    ("case", "index", "reason"),
    [
        ("cut in a configuration", 2, r"'Forces \(eV ang.\^-1\)': expected 2 lines of 3 numbers"),
        ("cut between configurations", 2, r"holds 2 configurations, its header announces 3"),
        ("a force is missing", 1, r"'Forces \(eV ang.\^-1\)': expected 8 lines of 3 numbers"),
        ("no number", 1, r"'Forces .*': could not convert string to float: '\*+'"),
        ("counts differ", 0, r"atom types add up to 5 atoms, expected 4"),
        ("no energy", 0, r"no section 'Total energy \(eV\)'"),
        ("no element", 1, r"atom types: 'Qq' is no element"),
    ],
)
def test_broken_files_name_the_configuration_and_keep_the_others(
    tmp_path, images, case, index, reason
):
    path = tmp_path / "ML_AB"
    path.write_text(broken(ml_ab(images), case))
    chunks = list(stream(path))
    found = [one for chunk in chunks for one in chunk.broken]
    assert [one.index for one in found] == [index]
    assert re.search(reason, found[0].reason)
    assert sum(len(chunk.frames) for chunk in chunks) == 2
    with pytest.raises(InputError, match=rf"ML_AB: .*frame {index}: "):
        read_frames(path)


def test_a_header_alone_and_a_header_that_is_wrong(tmp_path, images):
    text = ml_ab(images)
    path = tmp_path / "ML_AB"
    path.write_text(text[: text.index("     Configuration num.")])
    with pytest.raises(InputError, match="holds 0 configurations, its header announces 3"):
        read_frames(path)
    path.write_text(re.sub(r"configurations\n(-+)\n +3", r"configurations\n\1\n  many", text))
    with pytest.raises(InputError, match="'The number of configurations' is 'many'"):
        read_frames(path)


def test_as_seeds(tmp_path, images):
    (tmp_path / "ML_AB").write_text(ml_ab(images))
    values = {"material": "Al", "elements": ["Al", "Cu"],
              "inputs": {"seeds": [f"{tmp_path}/ML_AB"]}}  # fmt: skip
    frames = collect(validate(values, "test"))
    assert len(frames) == 3
    assert frames.energy is None
    assert frames.meta["source"].str.contains("ML_AB#").all()


def test_as_labels_through_the_gates(tmp_path, images, capsys):
    hot = images[0].copy()
    hot.positions[1] = hot.positions[0] + [0.9, 0.9, 0.9]
    hot.calc = EMT()
    text = ml_ab([*images, hot])
    (tmp_path / "ML_AB").write_text(text[: text.rindex("     XY YZ ZX")])  # the fourth is cut
    (tmp_path / "ML_ABN").write_text(ml_ab([hot]))
    files = [str(tmp_path / name) for name in ("ML_AB", "ML_ABN")]
    out, table = tmp_path / "out.extxyz", tmp_path / "records.csv"
    assert main(["import-labels", *files, "-o", str(out), "--records", str(table),
                 "--energy-window", "inf"]) == 0  # fmt: skip
    records = pd.read_csv(table).set_index(["file", "index"])["status"]
    assert records[files[0]].tolist() == ["ok", "ok", "ok", "rejected:file"]
    assert records[files[1]].tolist()[0].startswith("rejected:")
    back = read_frames(out)
    assert len(back) == 3
    by_energy = np.argsort(back.energy)
    expected = sorted(images, key=lambda image: image.get_potential_energy())
    np.testing.assert_allclose(
        back.stress[by_energy], [image.get_stress() for image in expected], atol=1e-8
    )
    pressure = pd.read_csv(table)["pressure"].iloc[0]
    assert np.sign(pressure) == -np.sign(images[0].get_stress()[:3].sum())


def test_an_xdatcar_of_npt_keeps_the_cell_of_each_step(tmp_path):
    images = []
    for k in range(4):
        image = bulk("Al", "fcc", 4.0 + 0.1 * k, cubic=True)
        image.symbols[2:] = "Cu"
        image.rattle(0.05, seed=k)
        images.append(image)
    write(tmp_path / "XDATCAR", images, format="vasp-xdatcar")
    assert (tmp_path / "XDATCAR").read_text().count("Direct configuration=") == 4
    frames = read_frames(tmp_path / "XDATCAR")
    assert len(frames) == 4
    for i, image in enumerate(images):
        np.testing.assert_allclose(frames.cells[i], image.cell, atol=1e-6)
        np.testing.assert_allclose(
            frames.atoms(i).get_all_distances(mic=True), image.get_all_distances(mic=True),
            atol=1e-5,
        )  # fmt: skip


def xdatcar(n: int, names: str = "Al   Cu", every_header: bool = True) -> str:
    """As VASP writes it: a header before each frame where the cell changes."""
    text = ""
    for k in range(1, n + 1):
        if every_header or k == 1:
            a = 4.0 + 0.01 * k
            rows = np.array([[a, 0, 0], [0.2, a, 0], [0, 0, a]])
            cell = "".join("".join(f"{x:12.6f}" for x in row) + "\n" for row in rows)
            text += f"Al Cu melt\n           1\n{cell}   {names}\n     2     2\n"
        text += f"Direct configuration= {k:5d}\n"
        for x, y, z in ((0, 0, 0.001 * k), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, -0.02)):
            text += f"  {x:.8f}  {y:.8f}  {z:.8f}\n"
    return text


@pytest.mark.parametrize("every_header", [True, False])
def test_an_xdatcar_in_the_layout_of_vasp_reads_as_in_ase(tmp_path, every_header):
    path = tmp_path / "XDATCAR"
    path.write_text(xdatcar(5, every_header=every_header))
    frames, peers = read_frames(path), read(path, index=":", format="vasp-xdatcar")
    assert len(frames) == len(peers) == 5
    for i, peer in enumerate(peers):
        atoms = frames.atoms(i)
        assert atoms.get_chemical_symbols() == peer.get_chemical_symbols()
        np.testing.assert_allclose(atoms.cell, peer.cell, atol=1e-9)
        np.testing.assert_allclose(atoms.positions, peer.positions, atol=1e-7)
    assert read_at(path, [3]).cells[0, 0, 0] == pytest.approx(4.04 if every_header else 4.01)
    assert [c.index.tolist() for c in stream(path, atoms_per_chunk=8)] == [[0, 1], [2, 3], [4]]
    assert [c.index.tolist() for c in stream(path, start_at=3)] == [[3, 4]]


@pytest.mark.parametrize("cut", [3, 50, 160, 200, 230])
def test_a_torn_xdatcar_loses_its_last_frame_alone(tmp_path, cut):
    path = tmp_path / "XDATCAR"
    path.write_text(xdatcar(4)[:-cut])
    (chunk,) = stream(path)
    assert len(chunk.frames) == 3
    assert [(one.index, one.reason) for one in chunk.broken] == [
        (3, "the file ends within this frame")
    ]


def test_the_whole_frames_of_a_torn_xdatcar_can_be_saved(tmp_path, capsys):
    path, out = tmp_path / "XDATCAR", tmp_path / "whole.extxyz"
    path.write_text(xdatcar(4)[:-50])
    assert main(["convert", str(path), str(out)]) == 1
    assert "frame 3: the file ends within this frame" in capsys.readouterr().err
    assert main(["convert", "--skip-broken", str(path), str(out)]) == 0
    assert "left out: " in capsys.readouterr().err
    assert len(read_frames(out)) == 3


def test_names_of_potentials_and_broken_lines_of_an_xdatcar(tmp_path):
    path = tmp_path / "XDATCAR"
    path.write_text(xdatcar(2, "Al_pv/4f3a91 Cu/aa17").replace("0.00200000", "**********"))
    (chunk,) = stream(path)
    assert chunk.frames.numbers.tolist() == [13, 13, 29, 29]
    assert [one.index for one in chunk.broken] == [1]
    path.write_text(xdatcar(2, "Al"))
    with pytest.raises(InputError, match="header: expected three vectors, then elements"):
        read_frames(path)
