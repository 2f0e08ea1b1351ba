"""The published sets become extended XYZ with stresses of ASE's sign and order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.units import GPa
from conftest import REPOSITORY
from polymorphkd.frames import Frames
from polymorphkd.readers import read_frames

PROGRAM = REPOSITORY / "benchmarks/evidence/mlearn.py"
KBAR = [10.0, 20.0, 30.0, 4.0, 5.0, 6.0]  # compression is positive there


def entry(element: str, group: str) -> dict:
    return {
        "structure": {
            "lattice": {"matrix": [[3.0, 0, 0], [0, 3.0, 0], [0, 0, 4.0]]},
            "sites": [
                {"species": [{"element": element, "occu": 1}], "xyz": [0.0, 0.0, 0.1]},
                {"species": [{"element": element, "occu": 1}], "xyz": [1.5, 1.5, 2.0]},
            ],
        },
        "group": group,
        "outputs": {
            "energy": -21.5,
            "forces": [[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]],
            "virial_stress": KBAR,
        },
    }


def convert(folder: Path, element: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), str(folder / "new" / f"{element}.extxyz")],
        capture_output=True, text=True, env={"PYTHONPATH": str(REPOSITORY / "scripts")},
    )  # fmt: skip


def converted(folder: Path, element: str, group: str) -> Frames:
    for name in ("training", "test"):
        (folder / f"{name}.json").write_text(json.dumps([entry(element, group)]))
    done = convert(folder, element)
    assert done.returncode == 0, done.stderr
    return read_frames(folder / "new" / f"{element}.extxyz")


@pytest.mark.parametrize(
    ("element", "group", "shear"),  # yz, xz, xy
    [("Mo", "Elastic", [6, 5, 4]), ("Si", "AIMD-NVT", [6, 5, 4]), ("Si", "Elastic", [5, 6, 4])],
)
def test_stresses_have_the_sign_and_order_of_ase(tmp_path, element, group, shear):
    frames = converted(tmp_path, element, group)
    assert list(frames.meta["split"]) == ["train", "test"]
    assert set(frames.meta["group"]) == {group.removesuffix("-NVT")}
    assert frames.energy is not None
    assert frames.stress is not None
    assert frames.forces is not None
    np.testing.assert_allclose(frames.energy, -21.5)
    np.testing.assert_allclose(frames.forces[0], [0.1, 0.2, 0.3])
    expected = -0.1 * GPa * np.array([10, 20, 30, *shear])
    np.testing.assert_allclose(frames.stress, [expected, expected], rtol=1e-7)


def test_a_folder_without_the_files_is_refused(tmp_path):
    done = convert(tmp_path, "Mo")
    assert done.returncode == 1
    assert "training.json: no such file" in done.stderr
    (tmp_path / "training.json").write_text('[{"a": 1}]')
    assert "no data of mlearn" in convert(tmp_path, "Mo").stderr
    assert not (tmp_path / "new").exists()
