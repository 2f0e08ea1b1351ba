"""The engine vasp with a stand-in program: inputs, labels, corrections, what is refused."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read
from custodian.vasp.handlers import VaspErrorHandler
from polymorphkd.errors import EngineError
from polymorphkd.frames import from_atoms
from polymorphkd.label import ENGINES, make_engine
from polymorphkd.label.vasp import inputs
from polymorphkd.label.vasp.handlers import SOLVER_TAGS, SolverErrors
from polymorphkd.label.vasp.outcar import read_outcar
from polymorphkd.label.vasp.output import judge
from polymorphkd.settings import Vasp
from pydantic import ValidationError
from pymatgen.core import SETTINGS
from pymatgen.io.vasp import Incar, Kpoints
from vasp_runs import COMMAND, alloy


@pytest.mark.parametrize("left_handed", [False, True])
def test_a_label_is_that_of_the_program(vasp_label, tmp_path, left_handed):
    atoms = alloy()
    if left_handed:
        atoms.set_cell(atoms.cell[[1, 0, 2]])
    frames = from_atoms([atoms])
    engine = make_engine(vasp_label(keep="all"))
    result = engine.calculate(frames.atoms(0))
    reference = frames.atoms(0)
    reference.calc = EMT()
    assert (result.status, result.reason, result.scf_steps) == ("ok", "", 4)
    assert result.energy == pytest.approx(reference.get_potential_energy(), abs=1e-7)
    assert result.energy_zero == pytest.approx(result.energy + 0.001, abs=1e-7)
    assert result.entropy == pytest.approx(0.002, abs=1e-7)
    np.testing.assert_allclose(result.forces, reference.get_forces(), atol=1e-7)
    np.testing.assert_allclose(result.stress, reference.get_stress(), atol=1e-7)
    assert engine.version == "vasp 6.4.2"
    (archive,) = (tmp_path / "runs" / engine.settings_hash).iterdir()
    assert archive.name == f"{frames.frame_ids()[0]}.tar.gz"
    with tarfile.open(archive) as files:
        names = {Path(name).name for name in files.getnames()}
        files.extractall(tmp_path / "out", filter="data")
    assert {"INCAR", "KPOINTS", "POSCAR", "vasprun.xml", "OUTCAR"} <= names
    assert "POTCAR" not in names
    (xml,) = (tmp_path / "out").rglob("vasprun.xml")
    by_ase = read(xml)
    energy = by_ase.get_potential_energy(force_consistent=True)
    assert energy == pytest.approx(result.energy, abs=1e-7)
    np.testing.assert_allclose(by_ase.get_stress(), result.stress, atol=1e-7)
    (outcar,) = (tmp_path / "out").rglob("OUTCAR")
    run = read_outcar(outcar)
    assert judge(run, run.steps[0]) == ("ok", "")
    assert run.steps[0].energy == pytest.approx(result.energy, abs=1e-7)


def test_inputs_are_those_of_the_paper(tmp_path, potentials):
    settings = Vasp(potentials={"Al": "Al", "Cu": "Cu"})
    atoms = alloy()
    order = inputs.write_inputs(tmp_path, atoms, settings)
    tags = Incar.from_file(tmp_path / "INCAR")
    wanted = {
        "GGA": "Pe", "ENCUT": 600, "EDIFF": 1e-6, "NSW": 0, "IBRION": -1, "LWAVE": False,
        "LCHARG": False, "LREAL": False, "ISMEAR": 0, "SIGMA": 0.05,
    }  # fmt: skip
    assert {name: tags[name] for name in wanted} == wanted
    mesh = Kpoints.from_file(tmp_path / "KPOINTS")
    assert str(mesh.style) == "Gamma"
    spacing = 2 * np.pi * np.linalg.norm(np.linalg.inv(atoms.cell), axis=0) / mesh.kpts[0]
    assert (spacing <= 2 * np.pi * 0.04).all()
    assert order.tolist() == [0, 2, 1, 3]
    inputs.write_inputs(tmp_path, atoms, settings, mesh_cell=np.eye(3) * 2.0)
    assert Kpoints.from_file(tmp_path / "KPOINTS").kpts == [(13, 13, 13)]
    scan = inputs.incar(Vasp(functional="r2SCAN", incar={"ispin": 2, "ENCUT": 680}))
    assert (scan["METAGGA"], scan["ISPIN"], scan["ENCUT"]) == ("R2scan", 2, 680)
    assert "GGA" not in scan


def test_no_known_message_of_the_program_changes_the_physics(tmp_path, potentials):
    """Whatever custodian would do about a message, the inputs stay those of the set."""
    settings = Vasp(potentials={"Al": "Al"}, incar={"LREAL": "Auto"})
    for name, texts in VaspErrorHandler.error_msgs.items():
        folder = tmp_path / name
        folder.mkdir()
        inputs.write_inputs(folder, bulk("Al", "fcc", 4.05), settings)
        (folder / "vasp.out").write_text(texts[0] + "\n")
        before = Incar.from_file(folder / "INCAR")
        files = {f: (folder / f).read_bytes() for f in ("KPOINTS", "POSCAR", "POTCAR")}
        handler = SolverErrors()
        for _ in range(4):
            if not handler.check(str(folder)):
                break
            done = handler.correct(str(folder))
            after = Incar.from_file(folder / "INCAR")
            changed = {k for k in {*before, *after} if before.get(k) != after.get(k)}
            assert changed <= SOLVER_TAGS, name
            assert {f: (folder / f).read_bytes() for f in files} == files, name
            if done["actions"] is None:
                break
            (folder / "vasp.out").write_text(texts[0] + "\n")


def test_the_hash_holds_what_decides_a_label(vasp_label, potentials):
    def of(**changes):
        return make_engine(vasp_label(**changes)).settings_hash

    plain = of()
    assert plain == of(command=f"nice {COMMAND}", frame_time=10.0, keep="all")
    for changes in (
        {"encut": 500}, {"kspacing": 0.3}, {"functional": "r2SCAN"}, {"version": "5"},
        {"width": 0.1}, {"incar": {"ISPIN": 2}}, {"moments": {"Cu": 1.0}},
        {"potentials": {"Al": "Al"}},
    ):  # fmt: skip
        assert of(**changes) != plain
    path = potentials / "POT_GGA_PAW_PBE_54" / "Al" / "POTCAR"
    path.write_text(path.read_text().replace("01Jan2000", "02Feb2002"))
    inputs.potential.cache_clear()
    assert of() != plain


def test_what_is_missing_is_said_before_any_run(vasp_label, monkeypatch, tmp_path):
    problem = ENGINES["vasp"].problem
    section = vasp_label().vasp
    assert problem(section, ["Al", "Cu"]) is None
    assert "names no POTCAR for Ti" in problem(section, ["Al", "Ti"])
    assert "right POTCAR" in problem(vasp_label(potentials={"Al": "Al_xx"}).vasp, [])
    assert "no such program" in problem(vasp_label(command="no_vasp_here -x").vasp, [])
    assert "allowed is PBE" in problem(vasp_label(potential_set="PBE_99").vasp, [])
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", None)
    assert "set the environment variable PMG_VASP_PSP_DIR" in problem(section, ["Al"])
    with pytest.raises(EngineError, match=r"label.engine: vasp: no POTCARs: set"):
        make_engine(vasp_label())
    with pytest.raises(ValidationError, match="NELECT cannot be set"):
        vasp_label(incar={"nelect": 9})


def test_another_main_version_stops_the_job(vasp_label, monkeypatch):
    monkeypatch.setenv("VASP_STANDIN_VERSION", "5.4.4")
    with pytest.raises(EngineError, match=r"version: is 6, but the program is 5.4.4"):
        make_engine(vasp_label()).calculate(alloy())
    monkeypatch.setenv("VASP_STANDIN_VERSION", "6.4.2")
    open_cell = alloy()
    open_cell.pbc = [True, True, False]
    assert make_engine(vasp_label()).calculate(open_cell).status == "rejected:pbc"


def test_the_workflow_starts_without_the_libraries_of_vasp():
    code = "import sys, polymorphkd.label; print({'pymatgen', 'custodian'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
