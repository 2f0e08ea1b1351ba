"""Engines espresso, cp2k and abinit: what is refused, what the inputs hold, the hash."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest
from ase.io.abinit import read_abinit_in
from ase.io.espresso import read_espresso_in, read_fortran_namelist
from polymorphkd.errors import EngineError
from polymorphkd.label import make_engine
from polymorphkd.label.mesh import mesh
from polymorphkd.label.programs.cp2k_input import sections
from polymorphkd.settings import Label
from program_runs import NAMES, problem
from pydantic import ValidationError
from vasp_runs import alloy


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_is_said_before_any_run(program, monkeypatch, tmp_path, name):
    assert problem(program(name), "Al", "Cu") is None
    key = f"label.{name}.{'kinds' if name == 'cp2k' else 'potentials'}"
    assert f"{key}: names nothing for Ti; for example" in problem(program(name), "Al", "Ti")
    none = problem(program(name, command="mpirun_no -np 2 pw"))
    assert f"label.{name}.command: mpirun_no: no such program" in none
    assert "does not tell its version" in problem(program(name, command="true"))
    elsewhere = program(name, potential_folder=str(tmp_path / "none"))
    assert f"label.{name}.potential_folder" in problem(elsewhere)
    (tmp_path / "empty").mkdir()
    empty = program(name, potential_folder=str(tmp_path / "empty"))
    assert f"no file {'BASIS_MOLOPT' if name == 'cp2k' else 'Al.'}" in problem(empty)
    variable = {
        "espresso": "ESPRESSO_PSEUDO", "cp2k": "CP2K_DATA_DIR", "abinit": "ABINIT_PP_PATH",
    }[name]  # fmt: skip
    monkeypatch.delenv(variable, raising=False)
    assert f"environment variable {variable}" in problem(program(name, potential_folder=None))
    monkeypatch.setenv(variable, str(tmp_path / "data"))
    assert problem(program(name, potential_folder=None)) is None
    with pytest.raises(EngineError, match=f"label.engine: {name}: .*no such program"):
        make_engine(program(name, command="no_such_program"))
    titanium = alloy()
    titanium.symbols[0] = "Ti"
    with pytest.raises(EngineError, match=f"{key}: names nothing for Ti"):
        make_engine(program(name)).calculate(titanium)
    titanium.pbc = [True, True, False]
    assert make_engine(program(name)).calculate(titanium).status == "rejected:pbc"


def test_an_entry_that_its_file_does_not_hold_is_named(program):
    for changes, said in (
        ({"basis": "DZVP", "potential": "GTH-PBE-q3"}, "no basis set DZVP for Al in BASIS_MOLOPT"),
        ({"basis": "SZV-SR", "potential": "GTH-PB"}, "no potential GTH-PB for Al in GTH_POT"),
    ):
        assert said in problem(program("cp2k", kinds={"Al": changes}))
    assert (
        problem(program("cp2k", kinds={"Al": {"basis": "SZV-SR-q3", "potential": "GTH-PBE"}}))
        is None
    )
    said = problem(program("espresso", keywords={"nonsense": 1}))
    assert "label.espresso.keywords: nonsense is no keyword of pw.x" in said


@pytest.mark.parametrize(
    ("name", "keywords"),
    [
        ("espresso", {"tot_charge": 1}), ("espresso", {"Calculation": "relax"}),
        ("espresso", {"starting_magnetization(Fe)": 0.5}), ("espresso", {"nosym": 1, "ibrav": 2}),
        ("cp2k", {"MOTION": {"MD": {}}}), ("cp2k", {"force_eval": {"dft": {"charge": 1}}}),
        ("cp2k", {"FORCE_EVAL": {"DFT": {"KPOINTS": {"SCHEME": "GAMMA"}}}}),
        ("cp2k", {"GLOBAL": {"RUN_TYPE": "GEO_OPT"}}),
        ("cp2k", {"FORCE_EVAL": {"SUBSYS": {"CELL": {}}}}),
        ("abinit", {"ionmov": 2}), ("abinit", {"CELLCHARGE": 1}), ("abinit", {"ngkpt": [1, 1, 1]}),
        ("abinit", {"toldfe": 1e-6}), ("abinit", {"optcell": 1}),
    ],
)  # fmt: skip
def test_keywords_of_another_kind_of_label_are_refused(program, name, keywords):
    with pytest.raises(ValidationError, match="cannot be set: labels are static, neutral"):
        program(name, keywords=keywords)


def test_species_are_named_by_element(program):
    with pytest.raises(ValidationError, match=r"Hubbard_U\(1\): name the element"):
        program("espresso", keywords={"Hubbard_U(1)": 4.0})
    with pytest.raises(ValidationError, match="'Xy' is not a chemical symbol"):
        program("abinit", moments={"Xy": 1.0})


def test_the_hash_holds_what_decides_a_label(program, tmp_path):
    for name in NAMES:
        cutoff = getattr(Label(), name).cutoff_key

        def of(name=name, **changes):
            return make_engine(program(name, **changes)).settings_hash

        plain = of()
        command = f"nice {tmp_path / f'{name}.x'}"
        assert plain == of(command=command, frame_time=10.0, keep="all", scratch="elsewhere")
        for changes in (
            {cutoff: 2000}, {"kspacing": 0.3}, {"width": 0.1}, {"moments": {"Al": 1.0}},
            {"scf_tolerance": 1e-8},
        ):  # fmt: skip
            assert of(**changes) != plain
        for file in ("Al.UPF", "GTH_POTENTIALS", "Al.psp8"):
            with (tmp_path / "data" / file).open("a") as stream:
                stream.write(f"# changed for {name}\n")
        assert of() != plain


def test_the_input_of_pw_holds_the_settings_in_its_units(program, tmp_path):
    settings = program(
        "espresso", keywords={"Hubbard_U(Cu)": 4.0, "lda_plus_u": True, "mixing_beta": "1e-1"},
        moments={"Cu": 1.5},
    )  # fmt: skip
    atoms = alloy()
    make_engine(settings).write(tmp_path, atoms, (3, 2, 1))
    text = (tmp_path / "label.pwi").read_text()
    assert "3 2 1  0 0 0" in text
    namelists, _ = read_fortran_namelist((tmp_path / "label.pwi").open())
    system, electrons = namelists["system"], namelists["electrons"]
    assert system["ecutwfc"] == pytest.approx(1200 / 13.605693, rel=1e-6)
    assert system["ecutrho"] == pytest.approx(8 * system["ecutwfc"])
    assert (system["degauss"], system["smearing"]) == (pytest.approx(0.05 / 13.605693), "gaussian")
    assert electrons["conv_thr"] == pytest.approx(4 * 3e-9 / 13.605693, rel=1e-6)
    assert (system["nspin"], system["starting_magnetization(2)"]) == (2, 0.5)
    assert (system["hubbard_u(2)"], electrons["mixing_beta"]) == (4.0, 0.1)
    with (tmp_path / "label.pwi").open() as stream:
        np.testing.assert_allclose(read_espresso_in(stream).positions, atoms.positions, atol=1e-9)


def test_the_input_of_abinit_holds_the_settings(program, tmp_path):
    atoms = alloy()
    settings = program("abinit", functional=11, keywords={"vdw_xc": 6, "usepawu": True})
    make_engine(settings).write(tmp_path, atoms, (3, 2, 1))
    text = (tmp_path / "label.abi").read_text()
    for line in (
        "ecut 1200.0 eV", "tsmear 0.05 eV", "occopt 7", "ixc 11", "vdw_xc 6", "usepawu 1",
        "ngkpt\n3 2 1", "kptopt 2", "nsym 1",
    ):  # fmt: skip
        assert f"{line} \n" in text or f"{line}\n" in text
    with (tmp_path / "label.abi").open() as stream:
        again = read_abinit_in(stream)
    np.testing.assert_allclose(again.positions, atoms.positions, atol=1e-9)
    assert list(again.numbers) == list(atoms.numbers)
    plain = tmp_path / "plain"
    plain.mkdir()
    make_engine(program("abinit")).write(plain, atoms, (1, 1, 1))
    assert "ixc" not in (plain / "label.abi").read_text()


def test_the_input_of_cp2k_takes_the_users_word_last(program):
    keywords = {
        "force_eval": {
            "dft": {"scf": {"mixing": {"alpha": 0.05}}, "XC": {"VDW_POTENTIAL": {}}},
            "subsys": {"KIND Cu": {"DFT_PLUS_U": {"L": 2}}},
        }
    }
    settings = program("cp2k", keywords=keywords, moments={"Cu": 1.0}).cp2k
    dft = sections(settings, alloy(), (2, 1, 1))["FORCE_EVAL"]["DFT"]
    assert dft["SCF"]["MIXING"] == {"METHOD": "BROYDEN_MIXING", "ALPHA": 0.05, "NBROYDEN": 8}
    assert set(dft["XC"]) == {"XC_FUNCTIONAL PBE", "VDW_POTENTIAL"}
    assert dft["UKS"] == "T"
    kind = sections(settings, alloy(), (1, 1, 1))["FORCE_EVAL"]["SUBSYS"]["KIND Cu"]
    assert kind["DFT_PLUS_U"] == {"L": 2}
    assert kind["MAGNETIZATION"] == "1"
    assert "KPOINTS" not in sections(settings, alloy(), (1, 1, 1))["FORCE_EVAL"]["DFT"]


@pytest.mark.parametrize("sizes", [(1, 1, 2), (2, 3, 1), (3, 3, 4)])
def test_the_points_of_cp2k_are_the_whole_mesh(program, sizes):
    dft = sections(program("cp2k").cp2k, alloy(), sizes)["FORCE_EVAL"]["DFT"]
    points = np.array([line.split() for line in dft["KPOINTS"]["KPOINT"]], dtype=float)
    assert points[:, 3].sum() == np.prod(sizes)
    both = {
        tuple(np.round(sign * row[:3] * sizes).astype(int) % sizes)
        for row in points
        for sign in (1, -1)
    }
    assert len(both) == np.prod(sizes)


@pytest.mark.parametrize("name", NAMES)
def test_a_volume_scan_keeps_its_mesh(program, tmp_path, name):
    engine = make_engine(program(name, keep="all"))
    cell = np.eye(3) * 10.0
    assert engine.calculate(alloy(), mesh_cell=cell).status == "ok"
    (archive,) = (tmp_path / "runs" / engine.settings_hash).iterdir()
    with tarfile.open(archive) as files:
        files.extractall(tmp_path / "out", filter="tar")
    (path,) = (p for p in (tmp_path / "out").rglob("label.*") if p.suffix != ".abo")
    sizes = mesh(cell, np.ones(3, bool), 0.2513)
    assert sizes == (3, 3, 3)
    text = path.read_text()
    assert ("KPOINT " in text and text.count("KPOINT ") == 14) or "3 3 3" in text
