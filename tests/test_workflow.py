"""The workflow as a user meets it: plans, refusals, profiles, environments."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from ase.io import write
from conftest import COMMON, REPOSITORY, SMALL, job_stats
from mace_files import untrained_mace
from polymorphkd.frames import Frames, from_atoms, write_frames


def small(**changes) -> dict:
    return {**SMALL, **changes}


def message(text: str) -> str:
    """What the user reads between the start line and the end."""
    assert "Traceback" not in text, text
    return text.split("PolymorphKD cannot start.")[-1].strip()


def test_the_shipped_configuration_plans_the_whole_chain():
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run", "--forceall"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert job_stats(done.stdout + done.stderr) >= {
        "collect_seeds", "map_frames", "evolve_targets", "select_frames", "label_frames",
        "split_frames", "train_teacher", "relabel_frames", "train_student", "evaluate_model",
        "scan_volumes", "scan_volumes_dft", "check_lammps", "write_card", "make_report",
    }  # fmt: skip


def few_labelled(atoms: Atoms, n: int, pbc: bool) -> Frames:
    """Frames with every label."""
    images = [atoms.copy() for _ in range(n)]
    for index, image in enumerate(images):
        image.rattle(0.01, seed=index)
        image.pbc = pbc
        image.info["REF_energy"] = -1.0
        image.arrays["REF_forces"] = np.zeros((len(image), 3))
    return from_atoms(images)


def partly_labelled(atoms: Atoms) -> Frames:
    """Two frames, of which the second has forces and no energy."""
    images = [atoms.copy(), atoms.copy()]
    images[1].rattle(0.01)
    for image in images:
        image.arrays["REF_forces"] = np.zeros((len(image), 3))
    images[0].info["REF_energy"] = -1.0
    return from_atoms(images)


@pytest.mark.parametrize(
    ("material", "parts"),
    [
        ({"elements": ["Al"], "studnet": {}}, ["studnet", "unknown key", "student"]),
        (small(label={"gpaw": {"ecut": -3}}), ["label.gpaw.ecut", "greater than"]),
        (small(label={"gpaw": {"ecut": "high"}}), ["label.gpaw.ecut", "expected a number"]),
        (small(label={"engine": "vasp6"}), ["label.engine", "'gpaw'"]),
        (small(elements=["Po"], label={"engine": "gpaw"}, seeds={"md": None}),
         ["label.engine: gpaw", "no PBE setup for element Po"]),
        (small(elements=["W"]), ["seeds.md.calculator", "element W"]),
        (small(label={"engine": "ase", "ase": {"calculator": "no.such.Calc"}}),
         ["label.engine: ase", "no.such.Calc", "cannot be imported"]),
        (small(seeds={"prototypes": ["a15"], "n_atoms": [3, 5]}), ["seeds.n_atoms", "no seeds"]),
        (small(inputs={"seeds": ["absent.cif"]}), ["absent.cif", "no such file"]),
        (small(inputs={"seeds": ["empty.cif"]}), ["empty.cif", "is empty"]),
        (small(inputs={"seeds": ["text.xyz"]}), ["text.xyz", "cannot be read"]),
        (small(inputs={"seeds": ["overlap.vasp"]}), ["overlap.vasp", "frame 0", "0.000 Å apart"]),
        (small(inputs={"labelled": "overlap.vasp"}), ["inputs.labelled", "overlap.vasp"]),
        (small(inputs={"labelled": "plain.vasp"}), ["inputs.labelled", "REF_energy"]),
        (small(inputs={"labelled": "some.extxyz"}), ["inputs.labelled", "REF_energy of frame 1"]),
        (small(inputs={"labelled": "two.extxyz"}),
         ["inputs.labelled", "2 labelled frame(s)", "train, valid, test"]),
        (small(inputs={"labelled": "open.extxyz"}), ["labelled", "frame 0 is not periodic"]),
        (small(inputs={"teacher": ["none.model"]}), ["inputs.teacher", "none.model"]),
        (small(inputs={"teacher": ["text.xyz"]}), ["inputs.teacher", "text.xyz", "MACE model"]),
        (small(inputs={"teacher": ["copper.model"]}),
         ["inputs.teacher", "copper.model: does not know Al", "trained for Cu"]),
        (small(relabel={"proposals": 9}), ["relabel.proposals", "needs a committee"]),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_any_job_in_one_message(project, material, parts):
    (project.folder / "empty.cif").touch()
    (project.folder / "text.xyz").write_text("this is no structure\n")
    atoms = bulk("Al", "fcc", 4.05, cubic=True)
    write(project.folder / "plain.vasp", atoms)
    write_frames(project.folder / "some.extxyz", partly_labelled(atoms))
    write_frames(project.folder / "two.extxyz", few_labelled(atoms, 2, True))
    write_frames(project.folder / "open.extxyz", few_labelled(atoms, 9, False))
    if "copper.model" in str(material):
        untrained_mace(project.folder / "copper.model", ["Cu"])
    atoms.positions[1] = atoms.positions[0]
    write(project.folder / "overlap.vasp", atoms)
    project.write(COMMON, material)
    done = project.run("--dry-run", check=False)
    assert done.returncode != 0
    for part in parts:
        assert part in message(done.stdout), done.stdout
    assert not (project.folder / "results").exists()


def test_a_committee_can_propose_frames_for_the_next_round(project):
    project.write(COMMON, small(teacher={"n_models": 3}, relabel={"proposals": 9}))
    done = project.run("--dry-run")
    assert "propose_frames" in job_stats(done.stdout)


def test_an_unknown_material_is_refused(project):
    project.write({"materials": ["Cu"]}, {"elements": ["Al"]})
    done = project.run("--dry-run", check=False)
    assert "'Cu' has no file" in message(done.stdout)
    assert "available: Al" in message(done.stdout)


def test_the_literal_slurm_profile_after_one_step(tmp_path):
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}
    subprocess.run(["make", "slurm-profile"], cwd=REPOSITORY, env=environment, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--profile", "slurm", "--dry-run"],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Using profiles slurm" in done.stdout + done.stderr


def test_environments_hold_the_pins_of_the_lock_file():
    lock = {
        line.strip().lower().replace("_", "-")
        for line in (REPOSITORY / "requirements.lock").read_text().splitlines()
        if "==" in line and not line.startswith("#")
    }
    files = sorted((REPOSITORY / "envs").glob("*.yaml"))
    assert files
    for path in files:
        pip = yaml.safe_load(path.read_text())["dependencies"][-1]["pip"]
        for pin in pip:
            plain = re.sub(r"\[.*?\]", "", pin).lower().replace("_", "-")
            assert plain in lock, f"{path.name}: {pin} differs from requirements.lock"
    post = (REPOSITORY / "envs/label.post-deploy.sh").read_text()
    for pin in re.findall(r"gpaw[\w-]*==[\d.]+", post):
        assert pin in lock
    used = set(re.findall(r"envs/(\w+\.yaml)", "".join(
        path.read_text() for path in (REPOSITORY / "rules").glob("*.smk")
    )))  # fmt: skip
    assert used == {path.name for path in files}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(p.stem for p in (REPOSITORY / "envs").glob("*.yaml")))
def test_an_environment_holds_what_its_scripts_import(name):
    """With every other installed module out of reach."""
    pins = yaml.safe_load((REPOSITORY / f"envs/{name}.yaml").read_text())["dependencies"][-1][
        "pip"
    ]
    scripts = [
        str(REPOSITORY / "scripts" / f"{rule}.py")
        for path in (REPOSITORY / "rules").glob("*.smk")
        for rule, block in re.findall(
            r"^rule (\w+):\n(.*?)(?=^\S|\Z)", path.read_text(), re.M | re.S
        )
        if f"envs/{name}.yaml" in block
    ]
    assert scripts
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tests/limited_imports.py", *pins, "--", *scripts],
        cwd=REPOSITORY, text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts")}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def test_every_rule_is_complete():
    """Every rule says what it does, logs, measures itself and names its resources."""
    wanted = ("message:", "log:", "benchmark:", "threads:", "resources:", "params:", "conda:")
    for path in (REPOSITORY / "rules").glob("*.smk"):
        for block in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]:
            name = block.split(":")[0]
            for directive in wanted:
                assert f"    {directive}" in block, f"{path.name}: rule {name} lacks {directive}"
            assert f"../scripts/{name}.py" in block, f"{path.name}: rule {name}: other script"


def test_readme_commands_exist():
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.M))
    used = set(re.findall(r"`make ([a-z-]+)`", (REPOSITORY / "README.md").read_text()))
    assert {"demo", "test"} <= used <= targets
