"""Inputs of VASP's on-the-fly AIMD: tags, pieces, and the script that runs them in turn."""

import os
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.build import bulk
from ase.io import read, write
from polymorphkd.cli import main
from polymorphkd.config import validate
from polymorphkd.errors import ConfigError, InputError
from polymorphkd.label.vasp.aimd import iconst, pieces_of, write_deck
from pymatgen.io.vasp import Incar, Kpoints

STAGES = [
    {"name": "melt", "temperature": [300, 3000], "pressure": [10, 10], "picoseconds": 1.0},
    {"name": "hold", "temperature": [3000, 3000], "picoseconds": 0.4},
]
# Stands for VASP: checks what it is given, writes what the next piece needs.
PROGRAM = """#!/bin/sh
for file in INCAR KPOINTS POSCAR POTCAR; do [ -s $file ] || exit 3; done
echo "$(basename $PWD)" >> ../log
echo "learned in $(basename $PWD)" | cat ML_AB - > ML_ABN 2>/dev/null
if [ "$(basename $PWD)" = "$FAIL_IN" ]; then exit 1; fi
{ cat POSCAR; echo "velocities after $(basename $PWD)"; } > CONTCAR
echo " General timing and accounting informations for this job:" > OUTCAR
"""


def material(tmp_path: Path, **vasp: object) -> Path:
    values = {
        "elements": ["Al", "Cu"],
        "seeds": {"md": {"timestep": 2.0, "melt_quench": {"stages": STAGES, "frames": 10}}},
        "label": {"vasp": {"potentials": {"Al": "Al", "Cu": "Cu"}, "encut": 520, **vasp}},
    }
    path = tmp_path / "AlCu.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture
def structure(tmp_path) -> Path:
    atoms = bulk("Cu", cubic=True).repeat((2, 2, 2))
    atoms.symbols[::3] = "Al"
    write(tmp_path / "start.extxyz", atoms)
    return tmp_path / "start.extxyz"


def deck(tmp_path, structure, *options: str, **vasp: object) -> Path:
    settings = str(material(tmp_path, **vasp))
    out = tmp_path / "aimd"
    assert main(["aimd-deck", str(structure), "-o", str(out), "--settings", settings,
                 "--pieces", "2", *options]) == 0  # fmt: skip
    return out


def test_the_deck_has_what_vasp_needs(tmp_path, structure, potentials, capsys):
    out = deck(tmp_path, structure)
    names = ["1-melt", "2-melt", "3-hold", "4-hold"]
    assert sorted(p.name for p in out.iterdir()) == [*names, "README.md", "run.sh"]
    first, last = (Incar.from_file(out / name / "INCAR") for name in (names[0], names[-1]))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        first.check_params()
    unknown = [str(one.message) for one in found]  # pymatgen's list of tags is without this one
    assert unknown in ([], ["Cannot find ML_LMLFF in the list of INCAR tags"])
    wanted = {
        "ML_LMLFF": True, "ML_MODE": "train", "MDALGO": 3, "ISIF": 3, "IBRION": 0, "ISYM": 0,
        "PSTRESS": 100.0, "LANGEVIN_GAMMA": [10.0, 10.0], "LANGEVIN_GAMMA_L": 10.0,
        "PMASS": 1000.0, "POTIM": 2.0, "NSW": 250, "NBLOCK": 70, "TEBEG": 300.0,
        "TEEND": 1650.0, "ENCUT": 520.0, "GGA": "Pe", "LWAVE": False, "LREAL": False,
    }  # fmt: skip
    assert {name: first[name] for name in wanted} == wanted
    assert "ML_MODE = train" in (out / names[0] / "INCAR").read_text()  # as VASP spells it
    assert (last["ISIF"], last["NSW"], last["TEBEG"], last["TEEND"]) == (2, 100, 3000, 3000)
    assert not {"PSTRESS", "PMASS", "LANGEVIN_GAMMA_L"} & set(last)
    assert first["RANDOM_SEED"][1:] == [0, 0] != last["RANDOM_SEED"][:1]
    assert first["RANDOM_SEED"] != last["RANDOM_SEED"]
    second = Incar.from_file(out / names[1] / "INCAR")
    assert (second["TEBEG"], second["TEEND"]) == (1650.0, 3000.0)
    assert Kpoints.from_file(out / names[0] / "KPOINTS").kpts == [(4, 4, 4)]
    poscar = read(out / names[0] / "POSCAR")
    assert poscar.get_chemical_formula() == read(structure).get_chemical_formula()
    assert (out / names[0] / "POSCAR").read_text().splitlines()[5].split() == ["Al", "Cu"]
    assert not (out / names[1] / "POSCAR").exists()
    for name in names:
        assert (out / name / "POTCAR").stat().st_size
        assert (out / name / "ICONST").is_file() == name.endswith("melt")
    assert "POTCAR is not here" not in (out / "README.md").read_text()
    assert "700 steps in 4 pieces" in capsys.readouterr().out


def test_iconst_holds_angles_and_ratios_while_the_volume_changes():
    cell = np.array([[3.0, 0, 0], [0.5, 4.5, 0], [0, 0, 6.0]])
    lines = [line.split() for line in iconst(cell).splitlines()]
    assert [line[0] for line in lines] == ["LA"] * 3 + ["LR"] * 3 + ["S"] * 6
    for scale in (0.9, 1.2):  # every constraint on lengths stays at zero
        lengths = np.linalg.norm(scale * cell, axis=1)
        for line in lines[9:]:
            assert np.dot([float(word) for word in line[4:7]], lengths) == pytest.approx(
                0, abs=1e-8
            )


def run(out: Path, fail_in: str = "") -> subprocess.CompletedProcess:
    program = out.parent / "vasp"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    return subprocess.run(
        ["sh", str(out / "run.sh")], env={**os.environ, "VASP": str(program), "FAIL_IN": fail_in},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_pieces_run_in_turn_and_a_cut_one_keeps_what_it_learned(tmp_path, structure, potentials):
    out = deck(tmp_path, structure)
    broken = run(out, fail_in="3-hold")
    assert broken.returncode == 1
    assert "3-hold: VASP stopped before its end; see 3-hold/vasp.out" in broken.stderr
    assert (out / "log").read_text().split() == ["1-melt", "2-melt", "3-hold"]
    again = run(out)
    assert again.returncode == 0, again.stderr
    done = ["1-melt", "2-melt", "3-hold", "3-hold", "4-hold"]
    assert (out / "log").read_text().split() == done
    learned = (out / "4-hold" / "ML_ABN").read_text().splitlines()
    assert learned == [f"learned in {piece}" for piece in done]
    start = (out / "4-hold" / "POSCAR").read_text()
    assert start.count("velocities after") == 3
    assert run(out).returncode == 0
    assert len((out / "log").read_text().split()) == 5  # nothing is left to do


def test_without_potentials_the_deck_says_what_is_missing(
    tmp_path, structure, capsys, monkeypatch
):
    from polymorphkd.label.vasp import inputs
    from pymatgen.core import SETTINGS

    monkeypatch.delitem(SETTINGS, inputs.VARIABLE, raising=False)
    out = deck(tmp_path, structure, "--free-shape")
    assert "POTCAR is not written: no POTCARs: set the environment variable PMG_VASP_PSP_DIR" in (
        capsys.readouterr().out
    )
    assert not list(out.glob("*/POTCAR"))
    assert not list(out.glob("*/ICONST"))
    stopped = run(out)
    assert stopped.returncode == 1
    assert "1-melt/POTCAR is missing: put the potentials of Al, Cu there, in this order" in (
        stopped.stderr
    )


def test_the_schedule_of_the_paper_from_a_prototype(tmp_path):
    settings = validate({"material": "Al", "elements": ["Al"]}, "test")
    (tmp_path / "Al.yaml").write_text("elements: [Al]\n")
    out = tmp_path / "aimd"
    assert main(["aimd-deck", "fcc", "-o", str(out), "--settings", str(tmp_path / "Al.yaml")]) == 0
    pieces = sorted(p for p in out.iterdir() if p.is_dir())
    assert len(pieces) == 20
    tags = [Incar.from_file(piece / "INCAR") for piece in pieces]
    assert {tag["PSTRESS"] for tag in tags} == {100.0}
    assert sum(tag["NSW"] * tag["POTIM"] for tag in tags) == pytest.approx(400_000, abs=10)
    assert tags[0]["TEBEG"] == tags[-1]["TEEND"] == 300
    assert tags[9]["TEEND"] == tags[10]["TEBEG"] == 3000
    assert len(read(pieces[0] / "POSCAR")) == 108
    assert settings.seeds.md.melt_quench is None


def test_what_vasp_cannot_do_is_refused(tmp_path, structure):
    def values(**changes):
        return validate({"material": "Al", "elements": ["Al"], **changes}, "test")

    atoms = read(structure)
    with pytest.raises(ConfigError, match="version: 5: on-the-fly learning needs VASP 6"):
        write_deck(tmp_path / "a", atoms, values(label={"vasp": {"version": "5"}}))
    with pytest.raises(ConfigError, match="MAXMIX: must not be set"):
        write_deck(tmp_path / "a", atoms, values(label={"vasp": {"incar": {"MAXMIX": 40}}}))
    ramp = [dict(STAGES[0], pressure=[0, 10])]
    md = {"melt_quench": {"stages": ramp, "frames": 5}}
    with pytest.raises(ConfigError, match=r"melt: VASP holds one pressure"):
        write_deck(tmp_path / "a", atoms, values(seeds={"md": md}))
    assert not (tmp_path / "a").exists()
    with pytest.raises(InputError, match="is there already and not empty"):
        write_deck(tmp_path, atoms, values())
    assert main(["aimd-deck", "fcc", "-o", str(tmp_path / "b")]) == 1


def test_short_stages_are_not_cut_finer_than_steps():
    from polymorphkd.settings import MDStage

    stage = MDStage(name="a", temperature=(300, 600), pressure=(1, 1), picoseconds=0.006)
    pieces = pieces_of([stage], 2.0, 10)
    assert [piece.steps for piece in pieces] == [1, 1, 1]
    assert pieces[0].temperature == pytest.approx((300, 400))
