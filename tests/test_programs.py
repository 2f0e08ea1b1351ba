"""Engines espresso, cp2k and abinit with a stand-in program: inputs, labels, statuses."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.emt import EMT
from polymorphkd.frames import from_atoms
from polymorphkd.label import deal, gather, label_shard, make_engine
from program_runs import FILES, NAMES
from vasp_runs import alloy


@pytest.mark.parametrize("left_handed", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_label_is_that_of_the_program(program, tmp_path, name, left_handed):
    atoms = alloy()
    if left_handed:
        atoms.set_cell(atoms.cell[[1, 0, 2]])
    frames = from_atoms([atoms])
    engine = make_engine(program(name, keep="all"))
    result = engine.calculate(frames.atoms(0))
    reference = frames.atoms(0)
    reference.calc = EMT()
    assert (result.status, result.reason, result.scf_steps) == ("ok", "", 7)
    # Digits of pw.x are fewest: 1e-8 Ry, Ry/bohr, Ry/bohr^3.
    assert result.energy == pytest.approx(reference.get_potential_energy(), abs=3e-7)
    np.testing.assert_allclose(result.forces, reference.get_forces(), atol=1e-6)
    np.testing.assert_allclose(result.stress, reference.get_stress(), atol=2e-6)
    assert result.entropy == pytest.approx(0.002, abs=1e-6)
    assert result.energy_zero == pytest.approx(result.energy + 0.001, abs=1e-6)
    (archive,) = (tmp_path / "runs" / engine.settings_hash).iterdir()
    assert archive.name == f"{frames.frame_ids()[0]}.tar.gz"
    with tarfile.open(archive) as files:
        members = {Path(one.name).name: one for one in files.getmembers()}
    assert {"program.out", "program.err"} < set(members)
    assert all(members[file].issym() for file in FILES if file in members)


def test_later_versions_of_cp2k_print_other_tables(program, monkeypatch):
    engine = make_engine(program("cp2k"))
    first = engine.calculate(alloy())
    monkeypatch.setenv("DFT_STANDIN", "later")
    later = engine.calculate(alloy())
    assert (later.status, later.energy) == ("ok", pytest.approx(first.energy, abs=1e-9))
    np.testing.assert_allclose(later.forces, first.forces, atol=1e-9)
    np.testing.assert_allclose(later.stress, first.stress, atol=1e-9)


ENDINGS = {
    "unconverged": ("unconverged", "not converged in 40 SCF steps", False),
    "mute": ("unconverged", "does not say that the SCF converged", False),
    "cut": ("truncated", "the output ends too early", True),
    "killed": ("crashed", "ended by signal 9", True),
    "memory": ("crashed", "out_of_memory", True),
    "silent": ("crashed", "exit status 3 before any output", True),
    "hang": ("timeout", "took longer than 4 s", True),
}
SAID = {
    "espresso": "c_bands (1): too many bands are not converged",
    "cp2k": "Cholesky decompose failed: the matrix is not positive definite or ill-conditioned.",
    "abinit": "zhegv failed",
}


@pytest.mark.parametrize("how", ENDINGS)
@pytest.mark.parametrize("name", NAMES)
def test_every_end_has_its_status(program, monkeypatch, tmp_path, name, how):
    status, reason, retry = ENDINGS[how]
    engine = make_engine(program(name, frame_time=4.0 if how == "hang" else 100.0))
    monkeypatch.setenv("DFT_STANDIN", how)
    monkeypatch.setenv("DFT_STANDIN_LOG", str(tmp_path / "log"))
    started = time.monotonic()
    result = engine.calculate(alloy())
    assert not Path(f"/proc/{(tmp_path / 'log').read_text().split()[1]}").exists()
    assert (result.status, result.retry) == (status, retry), result.reason
    assert reason in result.reason
    assert time.monotonic() - started < 20
    assert any((tmp_path / "runs").rglob("program.out"))  # a failed run keeps its files


@pytest.mark.parametrize("name", NAMES)
def test_the_message_of_the_program_is_the_reason(program, monkeypatch, name):
    monkeypatch.setenv("DFT_STANDIN", "message")
    result = make_engine(program(name, keep="none")).calculate(alloy())
    assert (result.status, result.reason, result.retry) == ("crashed", SAID[name], False)


def test_a_rerun_computes_what_is_left(program, monkeypatch, tmp_path, aluminium):
    """A machine fails in one run, the frame in the next; a third has nothing to do."""
    name = "espresso"
    monkeypatch.setenv("DFT_STANDIN_LOG", str(tmp_path / "log"))
    settings = program(name)
    frames = aluminium.take(range(4))
    store = tmp_path / "store"
    label_shard(frames.take([0]), make_engine(settings), store)
    monkeypatch.setenv("DFT_STANDIN", "killed")
    label_shard(frames.take([0, 1]), make_engine(settings), store)
    monkeypatch.setenv("DFT_STANDIN", "message")
    label_shard(frames.take([2]), make_engine(settings), store)
    monkeypatch.setenv("DFT_STANDIN", "")
    parts = [label_shard(deal(frames, k, 2), make_engine(settings), store) for k in range(2)]
    assert len((tmp_path / "log").read_text().splitlines()) == 1 + 1 + 1 + 2
    labelled, records = gather(parts, settings)
    assert records["status"].value_counts().to_dict() == {"ok": 3, "crashed": 1}
    assert len(labelled) == 3
    assert records["engine"].str.startswith(f"{name} ").all()
    label_shard(frames, make_engine(settings), store)
    assert len((tmp_path / "log").read_text().splitlines()) == 5


def test_the_program_ends_with_its_job(program, monkeypatch, tmp_path):
    """A job that is killed outright leaves no program behind that works on."""
    monkeypatch.setenv("DFT_STANDIN", "hang")
    monkeypatch.setenv("DFT_STANDIN_LOG", str(tmp_path / "log"))
    code = (
        "import sys\nfrom polymorphkd.label import make_engine\n"
        "from polymorphkd.settings import Label\nfrom ase.build import bulk\n"
        "make_engine(Label.model_validate_json(sys.argv[1])).calculate(bulk('Al', cubic=True))\n"
    )
    settings = program("abinit").model_dump_json()
    with subprocess.Popen([sys.executable, "-c", code, settings]) as job:
        until(lambda: (tmp_path / "log").exists())
        job.kill()
    number = (tmp_path / "log").read_text().split()[1]
    program_process = Path(f"/proc/{number}")
    until(lambda: not program_process.exists())
    assert not program_process.exists()


def until(ready, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.05)
