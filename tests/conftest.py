"""Shared fixtures: reference data, small frames, and a project folder to run Snakemake in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from ase.build import bulk
from ase.io import write
from polymorphkd.frames import Frames, from_atoms
from polymorphkd.settings import Label

REPOSITORY = Path(__file__).resolve().parents[1]
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A chain without DFT whose front half takes seconds.
SMALL = {
    "elements": ["Al"],
    "seeds": {
        "prototypes": ["fcc", "bcc", "hcp"],
        "md": {"steps": 40, "temperatures": [1500], "snapshots": 1},
    },
    "landscape": {"cutoff": 3.4},
    "generate": {"targets_per_edge": 2, "generations": 5, "population": 10, "n_shards": 2},
    "select": {"standard": {"count": 30}, "supplementary": {"count": 60}},
    "label": {"engine": "ase", "n_shards": 3},
}
COMMON = {"materials": ["Al"], "seed": 1}
LONGEST = ("slurm", "chain", "slow")
SPLIT = [f"results/Al/split/{name}.extxyz" for name in ("train", "valid", "test")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with long tests first, so that no worker waits for the last file of another one."""
    ranks: dict[Path, int] = {}
    for item in items:
        rank = next(
            (k for k, mark in enumerate(LONGEST) if item.get_closest_marker(mark)), len(LONGEST)
        )
        ranks[item.path] = min(rank, ranks.get(item.path, rank))
    items.sort(key=lambda item: ranks[item.path])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of reference data beside the checkout; tests that need it skip without it."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the reference data folder ../shared/data is absent")
    return folder


@pytest.fixture
def aluminium() -> Frames:
    """Twelve rattled and strained Al cells of 2 to 8 atoms."""
    random = np.random.default_rng(7)
    images = []
    for i in range(12):
        base = [
            bulk("Al", "fcc", 4.05, cubic=True),
            bulk("Al", "bcc", 3.2, cubic=True),
            bulk("Al", "fcc", 4.05, cubic=True) * (2, 1, 1),
        ][i % 3]
        base.set_cell(base.cell @ (np.eye(3) + random.normal(0, 0.03, (3, 3))), scale_atoms=True)
        base.positions += random.normal(0, 0.1, base.positions.shape)
        images.append(base)
    return from_atoms(images)


def points_table(xy: np.ndarray, **columns: object) -> pd.DataFrame:
    """Landscape points at given (sS, Q6), with 16 Å^3 per atom unless told otherwise."""
    return pd.DataFrame(
        {
            "frame_id": [f"{i:07d}" for i in range(len(xy))],
            "sS": xy[:, 0],
            "Q6": xy[:, 1],
            "volume_per_atom": 16.0,
            "note": "",
            "settings_digest": "one",
            **columns,
        }
    )


@pytest.fixture
def cloud() -> pd.DataFrame:
    """4,000 landscape points, more of them at high sS, and with a spread of volumes."""
    random = np.random.default_rng(3)
    xy = np.column_stack([-30 * random.random(4000) ** 2, 0.6 * random.random(4000)])
    return points_table(xy, volume_per_atom=14 + 4 * random.random(4000))


class Project:
    """A project folder with its own config, on which Snakemake runs as a user would run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "config" / "materials").mkdir(parents=True)
        self.write({"materials": ["Al"], "seed": 1}, {"elements": ["Al"]})

    def write(self, config: dict, material: dict) -> None:
        """Write config/config.yaml and config/materials/Al.yaml."""
        (self.folder / "config/config.yaml").write_text(yaml.safe_dump(config))
        (self.folder / "config/materials/Al.yaml").write_text(yaml.safe_dump(material))

    @property
    def results(self) -> Path:
        return self.folder / "results" / "Al"

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        return [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")),
            *("--directory", str(self.folder), "--cores", str(cores)),
            *("--workflow-profile", str(REPOSITORY / "profiles/default")),
            *arguments,
        ]

    def environment(self) -> dict[str, str]:
        paths = [str(REPOSITORY / "tests"), os.environ.get("PYTHONPATH", "")]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p)}

    def run(
        self, *arguments: str, cores: int = 2, check: bool = True
    ) -> subprocess.CompletedProcess:
        """Run Snakemake to its end and return what it printed (both streams together)."""
        done = subprocess.run(
            self.command(*arguments, cores=cores),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(),
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"snakemake {' '.join(arguments)} failed:\n{done.stdout}")
        return done

    def planned(self, *targets: str) -> set[str]:
        """Names of the rules that a dry run would execute."""
        return job_stats(self.run(*targets, "--dry-run").stdout)


def job_stats(text: str) -> set[str]:
    """Rules in the table of jobs that a dry run prints; empty if nothing is to be done."""
    _, _, table = text.partition("Job stats:")
    rows = [line.split() for line in table.splitlines()]
    return {row[0] for row in rows if len(row) == 2 and row[1].isdigit() and row[0] != "total"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def mapped(tmp_path, monkeypatch) -> Path:
    """A folder with structures in a.xyz, points of them in a.parquet and b.parquet; go there."""
    from plotting import images, points_of  # on use: matplotlib is slow to import

    monkeypatch.chdir(tmp_path)
    frames = from_atoms(images())
    write("a.xyz", frames.to_atoms(), format="extxyz")
    points_of(frames, "a.xyz").to_parquet("a.parquet")
    points_of(frames, "a.xyz", seed=1).drop(columns="phase").to_parquet("b.parquet")
    return tmp_path


@pytest.fixture
def potentials(tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder of potentials for the stand-in of VASP, which pymatgen knows."""
    from polymorphkd.label.vasp import inputs  # on use: pymatgen is slow to import
    from pymatgen.core import SETTINGS
    from vasp_runs import write_potentials

    write_potentials(tmp_path / "potentials")
    monkeypatch.setitem(SETTINGS, inputs.VARIABLE, str(tmp_path / "potentials"))
    inputs.potential.cache_clear()
    yield tmp_path / "potentials"
    inputs.potential.cache_clear()


@pytest.fixture
def vasp_label(tmp_path, potentials) -> Callable[..., Label]:
    """Makes settings of labels by the stand-in of VASP."""
    from vasp_runs import COMMAND

    def make(**changes: object) -> Label:
        values = {
            "command": COMMAND, "potentials": {"Al": "Al", "Cu": "Cu"}, "max_corrections": 3,
            "scratch": str(tmp_path / "runs"), **changes,
        }  # fmt: skip
        return Label(engine="vasp", vasp=values, max_failed_fraction=1.0)

    return make


@pytest.fixture
def program(tmp_path) -> Callable[..., Label]:
    """Makes settings of labels by espresso, cp2k or abinit with a stand-in program."""
    from program_runs import program_label, write_data

    write_data(tmp_path / "data")
    return partial(program_label, tmp_path)
