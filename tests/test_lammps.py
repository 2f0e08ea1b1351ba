"""LAMMPS as a child process: how a run ends, and the potential files of the package."""

from pathlib import Path

import numpy as np
import pytest
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from polymorphkd import lammps as room
from polymorphkd.errors import EngineError, StageError
from polymorphkd.seeds.carbon import carbon


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


FLIES_APART = """
units metal
lattice fcc 4.0
region box block 0 3 0 3 0 3
create_box 1 box
create_atoms 1 box
mass 1 27.0
pair_style lj/cut 6.0
pair_coeff 1 1 0.4 2.6
velocity all create 300 1
run 5
velocity all create 300000 1
timestep 0.01
thermo 1
thermo_style custom step time temp pe etotal press
thermo_modify lost error
fix 1 all nve
run 2000
"""


def test_what_a_run_said_before_it_flew_apart_is_read(tmp_path):
    (tmp_path / "in.lammps").write_text(FLIES_APART)
    finished, reason = room.run_lammps(tmp_path, 1)
    assert not finished
    assert "ost atoms" in reason or "out of range" in reason
    first, second = room.read_thermo(tmp_path)
    assert list(first["step"]) == [0, 5]
    assert list(second["step"]) == list(range(5, 5 + len(second)))
    assert len(second) > 1
    assert list(second.columns)[:3] == ["step", "time_ps", "temperature_K"]

    log = tmp_path / "log.lammps"
    text = log.read_text()
    lines = text.splitlines()
    header = next(k for k, line in enumerate(lines) if line.split()[:1] == ["Step"])
    for place in (header + 1, header + 2):
        warning = "WARNING: Inconsistent image flags (domain.cpp:820)"
        log.write_text("\n".join([*lines[:place], warning, *lines[place:]]))
        assert [len(run) for run in room.read_thermo(tmp_path)] == [len(first), len(second)]
    torn = text[: text.index("ERROR")].rstrip()
    log.write_text(torn[: torn.rindex(" ")])  # as a full disk leaves it
    assert len(room.read_thermo(tmp_path)[1]) == len(second) - 1
    log.write_text(text[: text.rindex("Per MPI rank") + 60])
    assert len(room.read_thermo(tmp_path)) == 1


def test_potential_files_come_with_the_package():
    assert "Tersoff" in room.Potential("tersoff", "SiC.tersoff", ("C",)).path.read_text()
    with pytest.raises(EngineError, match=r"no potential C\.tersoff; .*SiC\.tersoff"):
        _ = room.Potential("tersoff", "C.tersoff", ("C",)).path


def test_the_calculator_follows_changing_cells():
    """Energy per atom of any cell of one crystal; forces and stress by differences."""
    calculator = room.Potential("lcbop", "C.lcbop", ("C",)).calculator()
    small = carbon("diamond")
    small.rattle(0.1, seed=1)
    energies = []
    for repeat in ((1, 1, 1), (3, 3, 2), (1, 1, 1)):
        atoms = small.repeat(repeat)
        atoms.rotate(30, (1, 2, 3), rotate_cell=True)
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy() / len(atoms))
    np.testing.assert_allclose(energies, energies[0], atol=1e-9)
    small.calc = calculator
    np.testing.assert_allclose(
        small.get_forces(), calculate_numerical_forces(small, 1e-4), atol=1e-4
    )
    np.testing.assert_allclose(
        small.get_stress(), calculate_numerical_stress(small, 1e-4, voigt=True), atol=1e-4
    )
