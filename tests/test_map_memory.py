"""`polymorphkd map` of many frames: memory stays flat, and threads change no byte."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from polymorphkd import map_files, table_files
from polymorphkd.frames import from_atoms, write_frames
from polymorphkd.settings import Landscape

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
SCRIPT = """
import resource, sys
from pathlib import Path
from polymorphkd.cli import main

assert main(sys.argv[1:]) == 0
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
status = Path("/proc/self/status")
if status.is_file():  # on Linux ru_maxrss is at least that of the process that started this one
    line = next(l for l in status.read_text().splitlines() if l.startswith("VmHWM:"))
    peak = int(line.split()[1])
print(peak)
"""


def peak_of_map(folder: Path, *arguments: str) -> int:
    """Largest memory (KiB) of a process of its own that maps files in `folder`."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "map", *arguments, "--cutoff", "3.4", "--force"],
        cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with few.extxyz and many.extxyz, 2,000 and 20,000 frames of 32 atoms."""
    folder = tmp_path_factory.mktemp("frames")
    random = np.random.default_rng(1)
    images = []
    for _ in range(200):
        atoms = bulk("Cu", cubic=True) * (2, 2, 2)
        atoms.positions += random.normal(0, 0.1, atoms.positions.shape)
        atoms.info["group"] = "rattled"
        images.append(atoms)
    write_frames(folder / "part.extxyz", from_atoms(images))
    part = (folder / "part.extxyz").read_text()
    for name, n in (("few", 10), ("many", 100)):
        (folder / f"{name}.extxyz").write_text(part * n)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--per-atom", "atoms.parquet"]], ids=["frames", "atoms"])
def test_memory_does_not_grow_with_the_number_of_frames(folder, options):
    """Ten times the frames may take 15 % more: groups of rows fill, and the heap frays.

    The files that are read grow from 7 to 70 MB, the rows of atoms in memory would from 6 to
    60 MB, in a process of 300 MB.
    """
    arguments = ["-o", "points.parquet", "--threads", "1", "--keep", "group", *options]
    few, many = (peak_of_map(folder, f"{name}.extxyz", *arguments) for name in ("few", "many"))
    assert many < 1.15 * few
    assert len(pd.read_parquet(folder / "points.parquet", columns=["sS"])) == 20_000


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_two_threads_write_the_same_bytes_as_one(folder, suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(map_files, "ATOMS_PER_CHUNK", 5000)  # 13 chunks
    monkeypatch.setattr(table_files, "ROWS_PER_GROUP", 700)
    written = []
    for n in (1, 2):
        output, atoms = tmp_path / f"points{n}{suffix}", tmp_path / f"atoms{n}{suffix}"
        map_files.map_files(
            [folder / "few.extxyz"], output, Landscape(cutoff=3.4), ["group"], n, per_atom=atoms
        )
        written.append((output.read_bytes(), atoms.read_bytes()))
    assert written[0] == written[1]
