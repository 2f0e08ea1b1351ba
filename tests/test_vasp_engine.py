"""The engine vasp with a stand-in program: inputs, verdicts, corrections, limits, reruns."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from conftest import REPOSITORY
from custodian.vasp.handlers import VaspErrorHandler
from polymorphkd.errors import EngineError
from polymorphkd.frames import from_atoms, write_frames
from polymorphkd.label import ENGINES, gather, label_shard, make_engine
from polymorphkd.label.vasp import inputs
from polymorphkd.label.vasp.handlers import SOLVER_TAGS, SolverErrors
from polymorphkd.label.vasp.outcar import read_outcar
from polymorphkd.label.vasp.output import judge
from polymorphkd.readers import read_frames
from polymorphkd.settings import Label, Vasp
from pydantic import ValidationError
from pymatgen.core import SETTINGS
from pymatgen.io.vasp import Incar, Kpoints

COMMAND = f"{sys.executable} {REPOSITORY / 'tests' / 'vasp_std'}"
POTCAR = """\
  PAW_PBE {symbol} 01Jan2000
   {valence}
 parameters from PSCTR are:
   VRHFIN ={symbol}: stand-in
   LEXCH  = PE
   EATOM  =    10.0000 eV,    0.7350 Ry

   TITEL  = PAW_PBE {symbol} 01Jan2000
   LULTRA =        F    use ultrasoft PP ?
   POMASS =   26.982; ZVAL   =    {valence}    mass and valenz
   ENMAX  =  240.300; ENMIN  =  180.225 eV
   END of PSCTR-controll parameters
 local part
   1.0000000   0.5000000
 End of Dataset
"""


@pytest.fixture
def potentials(tmp_path, monkeypatch) -> Path:
    """A folder of potentials that hold titles and valences, and nothing of VASP's."""
    folder = tmp_path / "potentials"
    for symbol, valence in (("Al", 3.0), ("Cu", 11.0)):
        path = folder / "POT_GGA_PAW_PBE_54" / symbol
        path.mkdir(parents=True)
        (path / "POTCAR").write_text(POTCAR.format(symbol=symbol, valence=valence))
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
    inputs.potential.cache_clear()
    yield folder
    inputs.potential.cache_clear()


@pytest.fixture
def label(tmp_path, potentials):
    def make(**changes) -> Label:
        values = {
            "command": COMMAND, "potentials": {"Al": "Al", "Cu": "Cu"}, "max_corrections": 3,
            "scratch": str(tmp_path / "runs"), **changes,
        }  # fmt: skip
        return Label(engine="vasp", vasp=values, max_failed_fraction=1.0)

    return make


def alloy() -> Atoms:
    atoms = bulk("Al", "fcc", 4.0, cubic=True)
    atoms.symbols = "AlCuAlCu"
    atoms.rattle(0.05, seed=3)
    atoms.set_cell(atoms.cell @ (np.eye(3) + 0.02 * np.arange(9).reshape(3, 3) / 9), True)
    return atoms


@pytest.mark.parametrize("left_handed", [False, True])
def test_a_label_is_that_of_the_program(label, tmp_path, left_handed):
    atoms = alloy()
    if left_handed:
        atoms.set_cell(atoms.cell[[1, 0, 2]])
    frames = from_atoms([atoms])
    engine = make_engine(label(keep="all"))
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


@pytest.mark.parametrize(
    ("mode", "status", "reason", "retry"),
    [
        ("crash", "crashed", "exit status 11", False),
        ("kill", "crashed", "ended by signal 9", True),
        ("cut", "truncated", "ends too early", True),
        ("silent", "crashed", "before any output", True),
        ("nostress", "crashed", "no stress", False),
        ("unconverged", "unconverged", "20 of at most 20 electronic steps", False),
        ("brmix", "crashed", "brmix", False),
        ("tet", "crashed", "tet; mending it would change SIGMA", False),
        ("edddav", "crashed", "edddav", False),
        ("oom", "crashed", "out_of_memory", True),
    ],
)
def test_every_failure_has_its_status(label, monkeypatch, mode, status, reason, retry):
    monkeypatch.setenv("VASP_STANDIN", mode)
    result = make_engine(label(max_scf_steps=20, width=0.1)).calculate(alloy())
    assert (result.status, result.retry) == (status, retry), result.reason
    assert reason in result.reason
    assert result.energy is None


@pytest.mark.parametrize("limit", [{"frozen_time": 1.0}, {"frame_time": 1.0}])
def test_a_run_that_hangs_is_ended(label, monkeypatch, limit):
    monkeypatch.setenv("VASP_STANDIN", "hang")
    started = time.monotonic()
    result = make_engine(label(**limit)).calculate(alloy())
    assert result.status == "timeout"
    assert result.retry
    assert "1 s" in result.reason
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(("mode", "starts"), [("edddav:once", 2), ("fast", 2), ("brmix", 3)])
def test_the_solver_may_be_mended_and_not_for_ever(label, monkeypatch, tmp_path, mode, starts):
    monkeypatch.setenv("VASP_STANDIN", mode)
    monkeypatch.setenv("VASP_STANDIN_LOG", str(tmp_path / "log"))
    engine = make_engine(label())
    result = engine.calculate(alloy())
    assert result.status == ("crashed" if mode == "brmix" else "ok"), result.reason
    n_starts = len((tmp_path / "log").read_text().splitlines())
    assert n_starts <= 3 if mode == "brmix" else n_starts == starts


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


def test_a_rerun_repeats_infrastructure_failures_only(label, monkeypatch, tmp_path, aluminium):
    frames, store, log = aluminium.take([0, 1]), tmp_path / "store", tmp_path / "log"
    settings = label()
    monkeypatch.setenv("VASP_STANDIN_LOG", str(log))

    def starts() -> int:
        before = len(log.read_text().splitlines()) if log.exists() else 0
        label_shard(frames, make_engine(settings), store)
        return len(log.read_text().splitlines()) - before

    monkeypatch.setenv("VASP_STANDIN", "cut")
    assert starts() == 2
    assert starts() == 2
    monkeypatch.setenv("VASP_STANDIN", "")
    assert starts() == 2
    assert starts() == 0
    shard = label_shard(frames, make_engine(settings), store)
    accepted, records = gather([shard], settings, frames)
    assert (records["status"] == "ok").all()
    assert records["entropy"].tolist() == pytest.approx([0.002, 0.002])
    assert set(accepted.meta["fidelity"]) == {"vasp"}
    assert set(records["engine"]) == {"vasp 6.4.2"}


def test_failed_runs_keep_their_files_and_good_ones_do_not(label, monkeypatch, tmp_path):
    engine = make_engine(label())
    folder = tmp_path / "runs" / engine.settings_hash / from_atoms([alloy()]).frame_ids()[0]
    monkeypatch.setenv("VASP_STANDIN", "crash")
    engine.calculate(alloy())
    assert (folder / "vasp.out").is_file()
    monkeypatch.setenv("VASP_STANDIN", "")
    assert engine.calculate(alloy()).status == "ok"
    assert not folder.exists()


def test_the_hash_holds_what_decides_a_label(label, potentials):
    def of(**changes):
        return make_engine(label(**changes)).settings_hash

    plain = of()
    assert plain == of(command=f"nice {COMMAND}", frame_time=10.0, keep="all")
    for changes in (
        {"encut": 500}, {"kspacing": 0.3}, {"functional": "r2SCAN"}, {"version": "5"},
        {"width": 0.1}, {"incar": {"ISPIN": 2}}, {"potentials": {"Al": "Al"}},
    ):  # fmt: skip
        assert of(**changes) != plain
    path = potentials / "POT_GGA_PAW_PBE_54" / "Al" / "POTCAR"
    path.write_text(path.read_text().replace("01Jan2000", "02Feb2002"))
    inputs.potential.cache_clear()
    assert of() != plain


def test_what_is_missing_is_said_before_any_run(label, monkeypatch, tmp_path):
    problem = ENGINES["vasp"].problem
    section = label().vasp
    assert problem(section, ["Al", "Cu"]) is None
    assert "names no POTCAR for Ti" in problem(section, ["Al", "Ti"])
    assert "right POTCAR" in problem(label(potentials={"Al": "Al_xx"}).vasp, [])
    assert "no such program" in problem(label(command="no_vasp_here -x").vasp, [])
    assert "allowed is PBE" in problem(label(potential_set="PBE_99").vasp, [])
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", None)
    assert "set the environment variable PMG_VASP_PSP_DIR" in problem(section, ["Al"])
    with pytest.raises(EngineError, match=r"label.engine: vasp: no POTCARs: set"):
        make_engine(label())
    with pytest.raises(ValidationError, match="NELECT cannot be set"):
        label(incar={"nelect": 9})


def test_another_main_version_stops_the_job(label, monkeypatch):
    monkeypatch.setenv("VASP_STANDIN_VERSION", "5.4.4")
    with pytest.raises(EngineError, match=r"version: is 6, but the program is 5.4.4"):
        make_engine(label()).calculate(alloy())
    monkeypatch.setenv("VASP_STANDIN_VERSION", "6.4.2")
    open_cell = alloy()
    open_cell.pbc = [True, True, False]
    assert make_engine(label()).calculate(open_cell).status == "rejected:pbc"


def test_the_workflow_starts_without_the_libraries_of_vasp():
    code = "import sys, polymorphkd.label; print({'pymatgen', 'custodian'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_killed_job_leaves_no_program_behind(label, potentials, tmp_path):
    """kill -9 of the labelling process ends the program that it started."""
    code = (
        "import sys\n"
        "from ase.build import bulk\n"
        "from polymorphkd.label.vasp.engine import VaspEngine\n"
        "from polymorphkd.settings import Vasp\n"
        "VaspEngine(Vasp.model_validate_json(sys.argv[1])).calculate(bulk('Al', cubic=True))\n"
    )
    log = tmp_path / "log"
    environment = {
        **os.environ, "PMG_VASP_PSP_DIR": str(potentials), "VASP_STANDIN": "hang",
        "VASP_STANDIN_LOG": str(log),
    }  # fmt: skip
    section = label().vasp.model_dump_json()
    process = subprocess.Popen([sys.executable, "-c", code, section], env=environment)
    deadline = time.monotonic() + 60
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    program = int(log.read_text().split()[1])
    process.kill()
    process.wait()
    while Path(f"/proc/{program}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{program}").exists()


@pytest.mark.slow
@pytest.mark.chain
def test_the_workflow_labels_with_vasp(project, potentials, aluminium, monkeypatch):
    """Through Snakemake: a frame that hangs is a row, and the next run labels it."""
    write_frames(project.folder / "mine.extxyz", aluminium.take([0, 1, 2]))
    log = project.folder / "starts"
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(potentials))
    monkeypatch.setenv("VASP_STANDIN_LOG", str(log))
    vasp = {"command": COMMAND, "potentials": {"Al": "Al"}, "frame_time": 2.0}
    label = {"engine": "vasp", "vasp": vasp, "n_shards": 1, "max_failed_fraction": 0.0}
    inputs = {"standard": "mine.extxyz", "supplementary": "mine.extxyz"}
    project.write({"materials": ["Al"]}, {"elements": ["Al"], "inputs": inputs, "label": label})
    target = "results/Al/label/labelled.extxyz"
    monkeypatch.setenv("VASP_STANDIN", "hang")
    failed = project.run(target, check=False)
    assert failed.returncode
    assert "3 of 3 frames failed" in failed.stdout
    assert "timeout: took longer than 2 s" in failed.stdout
    monkeypatch.setenv("VASP_STANDIN", "")
    project.run(target, "--forcerun", "label_frames")
    assert read_frames(project.folder / target).frame_ids() == sorted(
        aluminium.take([0, 1, 2]).frame_ids()
    )
    assert len(log.read_text().splitlines()) == 6
    records = pd.read_parquet(project.results / "label/records.parquet")
    assert records["engine"].tolist() == ["vasp 6.4.2"] * 3
