"""LAMMPS as a child process: how a run ends, and the potential files of the package."""

from pathlib import Path

import pytest
from polymorphkd import lammps as room
from polymorphkd.errors import EngineError, StageError


def fake_lammps(tmp_path: Path, monkeypatch, script: str) -> Path:
    """Put an executable `lmp` that runs `script` in the place of LAMMPS."""
    lmp = tmp_path / "lmp"
    lmp.write_text(f"#!/bin/sh\n{script}\n")
    lmp.chmod(0o755)
    monkeypatch.setattr(room, "program", lambda name: str(tmp_path / name))
    return tmp_path


def test_a_run_that_flies_apart_is_a_result_and_other_failures_are_errors(tmp_path, monkeypatch):
    script = "echo 'ERROR: Lost atoms: original 32 current 30' >log.lammps; exit 1"
    work = fake_lammps(tmp_path, monkeypatch, script)
    finished, reason = room.run_lammps(work, 1)
    assert not finished
    assert "Lost atoms" in reason
    script = "echo 'ERROR: Unrecognized pair style deepmd (src/force.cpp:275)' >log.lammps; exit 1"
    fake_lammps(tmp_path, monkeypatch, script)
    with pytest.raises(StageError, match="Unrecognized pair style"):
        room.run_lammps(work, 1)
    (work / "log.lammps").unlink()
    fake_lammps(tmp_path, monkeypatch, "echo cannot open shared object file; exit 127")
    with pytest.raises(StageError, match="cannot open shared object"):
        room.run_lammps(work, 1)


def test_potential_files_come_with_the_package():
    assert "Tersoff" in room.potential_file("SiC.tersoff").read_text()
    with pytest.raises(EngineError, match=r"no potential C\.tersoff; .*SiC\.tersoff"):
        room.potential_file("C.tersoff")
