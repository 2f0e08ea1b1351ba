"""A LAMMPS input that runs as it stands, and the constant-energy run that checks it."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from ase.io import read, write

from ..errors import StageError
from ..frames import from_atoms
from ..lammps import read_thermo, run_lammps
from ..predict import Predictor
from ..progress import logger
from ..provenance import atomic_path
from ..seeds.prototypes import prototype
from ..settings import Deploy
from ..student import POTENTIAL, copy_potential
from ..student.potential import requirement
from ..template import render

RATTLE = 0.02
"""Standard deviation of the initial displacements, Å: perfect sites would hide wrong forces."""

FORCE_TOLERANCE = 1e-3
"""Largest accepted difference between LAMMPS's and Python's forces, eV/Å."""

THERMO_LINES = 200

TIMING_STEPS = 20
"""Steps of the run that measures the cost of one."""

_LOOP_TIME = re.compile(r"Loop time of (?P<seconds>\S+) on")


@dataclass(frozen=True)
class Example:
    """The LAMMPS run that goes with a student.

    Parameters
    ----------
    material, variant : str
    structure : str
        Prototype of the crystal (see `seeds.prototypes`).
    volume_per_atom : float, Å^3
        Equilibrium volume of this very student, so that the run starts without pressure.
    elements : sequence of str
        Types of the model; the first fills the crystal.
    rng : numpy.random.Generator
        Source of displacements and of the seed of the velocities.
    """

    material: str
    variant: str
    structure: str
    volume_per_atom: float
    elements: Sequence[str]
    rng: np.random.Generator


def write_example(folder: Path, template: Path, example: Example, settings: Deploy) -> None:
    """Write ``in.lammps`` and ``structure.data`` beside the student in `folder`.

    Parameters
    ----------
    folder : Path
    template : Path
        Jinja2 template of ``in.lammps``.
    example : Example
    settings : Deploy
    """
    symbol = example.elements[0]
    cell = prototype(example.structure, symbol, example.volume_per_atom)
    atoms = cell.repeat(settings.repeat)
    atoms.positions += example.rng.normal(0.0, RATTLE, (len(atoms), 3))
    with atomic_path(folder / "structure.data") as path:
        write(
            path,
            atoms,
            format="lammps-data",
            specorder=list(example.elements),
            masses=True,
            atom_style="atomic",
        )
    render(
        template,
        folder / "in.lammps",
        material=example.material,
        variant=example.variant,
        structure=example.structure,
        symbol=symbol,
        elements=example.elements,
        temperature=settings.temperature,
        velocity_seed=int(example.rng.integers(1, 2**31 - 1)),
        timestep_ps=settings.timestep / 1000,
        steps=settings.steps,
        every=max(1, settings.steps // THERMO_LINES),
        requirement=requirement(folder / POTENTIAL),
    )


def conservation(time_ps: np.ndarray, total_eV: np.ndarray, n_atoms: int) -> tuple[float, float]:
    """Drift and fluctuation of the total energy about a straight line.

    Parameters
    ----------
    time_ps, total_eV : ndarray, shape (n,)
    n_atoms : int

    Returns
    -------
    float
        Slope of the least-squares line, meV per atom per ps.
    float
        Standard deviation about that line, meV per atom.
    """
    energy = 1e3 * (total_eV - total_eV[0]) / n_atoms
    slope, offset = np.polyfit(time_ps, energy, 1)
    return float(slope), float(np.std(energy - (slope * time_ps + offset)))


def force_difference(work: Path, elements: Sequence[str], model: Predictor) -> float:
    """Largest difference (eV/Å) between LAMMPS's forces at step 0 and the model's in Python."""
    atoms = read(
        work / "nve.lammpstrj", index=0, format="lammps-dump-text", specorder=list(elements)
    )
    assert isinstance(atoms, Atoms)
    predicted = model.predict(from_atoms([Atoms(atoms)]))
    assert predicted.forces is not None
    return float(np.abs(predicted.forces - atoms.get_forces()).max())


def check(
    folder: Path,
    work: Path,
    elements: Sequence[str],
    model: Predictor,
    settings: Deploy,
    threads: int,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Run the example of `folder` in a scratch folder and judge it.

    A run that drifts or flies apart is a result with ``passed`` false, not an error.

    Parameters
    ----------
    folder : Path
        Holds ``in.lammps``, ``structure.data`` and a student.
    work : Path
        Scratch folder, emptied first.
    elements : sequence of str
    model : Predictor
        The same model in Python.
    settings : Deploy
    threads : int

    Returns
    -------
    DataFrame
        See :func:`polymorphkd.lammps.read_thermo`.
    dict
        drift_meV_per_atom_per_ps, fluctuation_meV_per_atom, n_atoms, steps,
        temperature_mean_K (second half), forces_agree_eV_per_A, passed, reason; and
        us_per_atom_step with timing_atoms, the size that it was measured at.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    _copy(folder, work)
    logger.info("LAMMPS: %d steps of %g fs", settings.steps, settings.timestep)
    finished, reason = run_lammps(work, threads, "deploy")
    runs = read_thermo(work)
    if not runs:
        raise StageError(f"deploy: LAMMPS broke off before its first step: {reason}")
    thermo = runs[-1]
    result = {
        "drift_meV_per_atom_per_ps": None,
        "fluctuation_meV_per_atom": None,
        "us_per_atom_step": None,
        "timing_atoms": None,
        "n_atoms": _n_atoms(work),
        "steps": settings.steps,
        "temperature_mean_K": None,
        "forces_agree_eV_per_A": force_difference(work, elements, model),
        "max_drift_meV_per_atom_per_ps": settings.max_drift,
        "passed": False,
        "reason": reason,
    }
    if finished:
        result |= _judge(thermo, result, settings)
        result |= measure_cost(folder, work / "timing", settings.timing_atoms, threads)
    return thermo, result


def _copy(folder: Path, work: Path) -> None:
    copy_potential(folder / POTENTIAL, work)
    for name in ("in.lammps", "structure.data"):
        shutil.copyfile(folder / name, work / name)


def measure_cost(folder: Path, work: Path, n_atoms: int, threads: int) -> dict[str, Any]:
    """Cost of a step of the example of `folder`, repeated to at least `n_atoms` atoms.

    Returns
    -------
    dict
        us_per_atom_step (wall time of the loop, without the start) and timing_atoms.
    """
    work.mkdir()
    _copy(folder, work)
    copies = [1, 1, 1]
    own = _n_atoms(work)
    while own * math.prod(copies) < n_atoms:
        copies[copies.index(min(copies))] += 1
    size = own * math.prod(copies)
    variables = dict(zip(("nx", "ny", "nz"), copies, strict=True))
    finished, reason = run_lammps(work, threads, "deploy", {**variables, "steps": TIMING_STEPS})
    loop = _LOOP_TIME.search((work / "log.lammps").read_text())
    if not finished or loop is None:
        raise StageError(f"deploy: the run of {size} atoms gave no time of its loop: {reason}")
    seconds = float(loop["seconds"])
    return {"us_per_atom_step": 1e6 * seconds / (size * TIMING_STEPS), "timing_atoms": size}


def _n_atoms(work: Path) -> int:
    match = re.search(r"^\s*(\d+)\s+atoms", (work / "structure.data").read_text(), re.MULTILINE)
    assert match
    return int(match[1])


def _judge(thermo: pd.DataFrame, result: dict[str, Any], settings: Deploy) -> dict[str, Any]:
    """Numbers and verdict of a run that reached its end."""
    n_atoms, force = result["n_atoms"], result["forces_agree_eV_per_A"]
    drift, fluctuation = conservation(
        thermo["time_ps"].to_numpy(), thermo["total_eV"].to_numpy(), n_atoms
    )
    reasons = []
    if not abs(drift) <= settings.max_drift:
        reasons.append(f"drift {drift:.3g} meV/atom/ps exceeds {settings.max_drift:g}")
    if not force <= FORCE_TOLERANCE:
        reasons.append(f"forces differ from Python's by {force:.2g} eV/Å")
    return {
        "drift_meV_per_atom_per_ps": drift,
        "fluctuation_meV_per_atom": fluctuation,
        "temperature_mean_K": float(thermo["temperature_K"][len(thermo) // 2 :].mean()),
        "passed": not reasons,
        "reason": "; ".join(reasons),
    }
