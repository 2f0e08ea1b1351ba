"""Inputs of VASP's on-the-fly machine-learned AIMD along a melt-quench schedule.

Langevin dynamics, with the Parrinello-Rahman barostat where a stage has a pressure (VASP wiki:
NpT ensemble; Best practices for machine-learned force fields).  A schedule is cut into pieces,
each a run of its own that goes on from the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from pymatgen.io.vasp import Incar, Kpoints

from ...errors import ConfigError, InputError
from ...provenance import rng
from ...seeds.melt_quench import schedule_of
from ...settings import MDStage, MeltQuench, SeedMD, Settings, Vasp
from ...template import TEMPLATES, render
from ..gpaw_engine import mesh
from .inputs import incar, potential_problem, potentials_text, write_poscar

LATTICE_MASS = 1000.0
"""PMASS, atomic mass units, where `label.vasp.incar` names none."""

LATTICE_FRICTION = 10.0
"""LANGEVIN_GAMMA_L times the relaxation time of the barostat."""

KILOBAR_PER_GPA = 10.0


@dataclass(frozen=True)
class Piece:
    """A part of a stage: folder, first and last temperature (K), pressure (GPa), steps."""

    name: str
    temperature: tuple[float, float]
    pressure: float | None
    steps: int


@dataclass(frozen=True)
class Deck:
    """What was written: the pieces, and why there is no POTCAR or None."""

    pieces: list[Piece]
    problem: str | None


def pieces_of(stages: Sequence[MDStage], timestep: float, per_stage: int) -> list[Piece]:
    """Stages cut into `per_stage` parts each.

    Raises
    ------
    ConfigError
        A pressure is to change within a stage, which VASP cannot do.
    """
    found: list[Piece] = []
    width = len(str(per_stage * len(stages)))
    for stage in stages:
        if stage.pressure is not None and stage.pressure[0] != stage.pressure[1]:
            raise ConfigError(
                f"seeds.md.melt_quench.stages: {stage.name}: VASP holds one pressure (PSTRESS) in "
                f"a run, not a ramp {list(stage.pressure)} GPa; give stages of constant pressure"
            )
        total = round(1000 * stage.picoseconds / timestep)
        bounds = np.unique(np.linspace(0, total, per_stage + 1).round().astype(int)).tolist()
        start, end = stage.temperature
        heat = [start + (end - start) * bound / total for bound in bounds]
        for k in range(len(bounds) - 1):
            found.append(
                Piece(
                    f"{len(found) + 1:0{width}d}-{stage.name}",
                    (heat[k], heat[k + 1]),
                    None if stage.pressure is None else stage.pressure[0],
                    bounds[k + 1] - bounds[k],
                )
            )
    return found


def aimd_incar(
    piece: Piece, vasp: Vasp, plan: MeltQuench, timestep: float, symbols: Sequence[str],
    nblock: int, seed: int,
) -> Incar:  # fmt: skip
    """Tags of one piece: electrons as for labels, and dynamics that learns.

    `symbols` are the elements of all atoms in the order of the POSCAR.
    """
    tags: dict[str, Any] = {
        **incar(vasp, symbols),
        "SYSTEM": piece.name,
        "IBRION": 0,
        "MDALGO": 3,
        "ISIF": 2,
        "ISYM": 0,
        "POTIM": timestep,
        "NSW": piece.steps,
        "NBLOCK": nblock,
        "TEBEG": round(piece.temperature[0], 3),
        "TEEND": round(piece.temperature[1], 3),
        "RANDOM_SEED": [seed, 0, 0],
        "LANGEVIN_GAMMA": [round(1 / plan.thermostat_time, 6)] * len(set(symbols)),
        "ML_LMLFF": True,
        "ML_MODE": "train",
    }
    if piece.pressure is not None:
        tags |= {
            "ISIF": 3,
            "PSTRESS": round(KILOBAR_PER_GPA * piece.pressure, 6),
            "LANGEVIN_GAMMA_L": round(LATTICE_FRICTION / plan.barostat_time, 6),
            "PMASS": tags.get("PMASS", LATTICE_MASS),
        }
    return Incar(tags)


def iconst(cell: np.ndarray) -> str:
    """ICONST that lets the volume change alone: angles and ratios of the lengths are held."""
    a, b, c = np.linalg.norm(cell, axis=1)
    lines = ["LA 1 2 0", "LA 1 3 0", "LA 2 3 0", "LR 1 0", "LR 2 0", "LR 3 0"]
    lines += ["S 1 0 0 0 0 0 0", "S 0 1 0 0 0 0 0", "S 0 0 1 0 0 0 0"]
    lines += [
        f"S 0 0 0 {b / a:.10f} -1 0 0",
        f"S 0 0 0 {c / a:.10f} 0 -1 0",
        f"S 0 0 0 0 {c / b:.10f} -1 0",
    ]
    return "\n".join(lines) + "\n"


def write_deck(
    folder: Path, atoms: Atoms, settings: Settings, per_stage: int = 10, free_shape: bool = False
) -> Deck:
    """Write a folder with all inputs, ``run.sh`` and ``README.md``.

    Parameters
    ----------
    folder : Path
        New, or empty.
    atoms : Atoms
        Start, periodic along all directions.
    settings : Settings
        ``label.vasp`` says how electrons are treated, ``seeds.md`` the schedule (that of the
        paper where it has no melt-quench).
    per_stage : int
        Pieces of each stage.
    free_shape : bool
        Let the barostat change the shape of the cell, too.

    Raises
    ------
    InputError
        The folder holds something.
    ConfigError
        The settings ask for what VASP cannot do.
    """
    vasp, plan = settings.label.vasp, schedule_of(settings)
    timestep = (settings.seeds.md or SeedMD()).timestep
    _check(folder, vasp)
    pieces = pieces_of(plan.stages, timestep, per_stage)
    steps = sum(piece.steps for piece in pieces)
    nblock = max(1, steps // plan.frames)
    symbols = sorted(atoms.get_chemical_symbols())  # as write_poscar orders them
    kinds = sorted(set(symbols))
    problem = potential_problem(vasp, kinds)
    for k, piece in enumerate(pieces):
        work = folder / piece.name
        work.mkdir(parents=True)
        random = rng(settings.seed, settings.material, "aimd", k)
        seed = int(random.integers(1, 900_000_000))
        tags = aimd_incar(piece, vasp, plan, timestep, symbols, nblock, seed)
        tags.write_file(work / "INCAR")
        sizes = mesh(atoms.cell.array, atoms.pbc, vasp.kspacing)
        Kpoints.gamma_automatic(sizes).write_file(work / "KPOINTS")
        if not k:
            write_poscar(work, atoms)
        if problem is None:
            (work / "POTCAR").write_text(potentials_text(vasp, kinds))
        if piece.pressure is not None and not free_shape:
            (work / "ICONST").write_text(iconst(atoms.cell.array))
    names = [piece.name for piece in pieces]
    render(TEMPLATES / "aimd_run.sh.j2", folder / "run.sh", pieces=names, kinds=kinds)
    render(
        TEMPLATES / "aimd_README.md.j2", folder / "README.md", pieces=names, steps=steps,
        version=vasp.version, n_atoms=len(atoms), formula=atoms.get_chemical_formula(),
        timestep=f"{timestep:g}", stages=[_in_words(stage) for stage in plan.stages],
        fixed=not free_shape, problem=problem, nblock=nblock, folder=folder.name,
    )  # fmt: skip
    return Deck(pieces, problem)


def _check(folder: Path, vasp: Vasp) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is there already and not empty; name a new folder")
    if vasp.version != "6":
        raise ConfigError(
            f"label.vasp.version: {vasp.version}: on-the-fly learning needs VASP 6 (6.4 or later)"
        )
    if "MAXMIX" in vasp.incar:
        raise ConfigError(
            "label.vasp.incar: MAXMIX: must not be set where a force field is learned, because "
            "the atoms move far between two first-principles steps"
        )


def _in_words(stage: MDStage) -> str:
    start, end = stage.temperature
    where = "constant volume" if stage.pressure is None else f"{stage.pressure[0]:g} GPa"
    return f"{stage.name}: {start:g} to {end:g} K, {where}, {stage.picoseconds:g} ps"
