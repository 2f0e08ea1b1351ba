"""Molecular dynamics with any ASE calculator along a schedule, in blocks that survive a kill.

Langevin dynamics by the BAOAB scheme (Leimkuhler & Matthews, J. Chem. Phys. 138, 174102
(2013)), at constant pressure with a Langevin piston on the volume (Quigley & Probert,
J. Chem. Phys. 120, 11432 (2004)).  The cell keeps its shape, because a liquid does not resist
shear and would let it flow.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms, units
from ase.calculators.calculator import BaseCalculator
from ase.md.langevinbaoab import LangevinBAOAB
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from ..calculators import consistent_energy
from ..frames import Frames, from_atoms
from ..provenance import atomic_path
from .schedule import Dynamics, Leg, Plan, Run, bare, problem_of

COLUMNS = (
    "step", "time_ps", "temperature_K", "potential_eV", "total_eV", "pressure_bar", "volume_A3",
)  # fmt: skip
BAR = 1e-4 * units.GPa

FRICTION = 0.1
"""Relaxation time of the piston's own momentum over that of the volume: it does not ring."""


@dataclass
class State:
    """All that decides how a run goes on."""

    step: int
    atoms: Atoms
    piston: float
    random: np.random.Generator


def run_ase(
    work: Path,
    start: Atoms,
    calculator: BaseCalculator,
    plan: Plan,
    dynamics: Dynamics,
    random: np.random.Generator,
    report: Callable[[int], None] = lambda _: None,
) -> Run:
    """Run a schedule, or what is left of it after a kill.

    Parameters
    ----------
    work : Path
        One file per finished block, with the state at its end, is written there.
    start : Atoms
        Periodic in all directions; it is not changed.
    calculator : BaseCalculator
        Gives energy, forces and stress.
    plan, dynamics
    random : Generator
        Velocities and noise come from it.
    report : callable, optional
        Told the steps of each block as it ends.
    """
    work.mkdir(parents=True, exist_ok=True)
    blocks = sorted(work.glob("block-*.npz"))
    tables = [pd.DataFrame(np.load(path)["rows"], columns=COLUMNS) for path in blocks]
    images = [_image(path, start) for path in blocks]
    state = _resumed(blocks[-1], start) if blocks else _fresh(start, plan, random)
    report(state.step)
    reason = ""
    while state.step < plan.end and not reason:
        before = state.step
        rows, error = _block(state, calculator, plan, dynamics)
        tables.append(pd.DataFrame(rows, columns=COLUMNS))
        reason = problem_of(tables[-1], plan.legs, start.get_volume()) or error
        if not reason:
            _save(work / f"block-{state.step:010d}.npz", state, rows)
            images.append(bare(state.atoms))
            report(state.step - before)
    table = pd.concat(tables, ignore_index=True)
    table.insert(1, "stage", plan.stage_names(table["step"].to_numpy()))
    table["step"] = table["step"].astype(int)
    if reason:
        return Run(from_atoms([]), table, reason)
    return Run(_kept(images, table, plan), table)


def _kept(images: list[Atoms], table: pd.DataFrame, plan: Plan) -> Frames:
    """Images of whole blocks, each with its line of the table."""
    steps = np.arange(plan.frame_every, plan.end + 1, plan.frame_every)
    rows = table.set_index("step").loc[steps].reset_index()
    frames = from_atoms(images[: len(steps)])
    return frames.with_meta(**{str(name): rows[name].to_numpy() for name in rows})


def _fresh(start: Atoms, plan: Plan, random: np.random.Generator) -> State:
    atoms = bare(start)
    hot = plan.legs[0].stage.temperature[0]
    MaxwellBoltzmannDistribution(atoms, temperature_K=hot, rng=random)
    return State(0, atoms, 0.0, random)


def _block(
    state: State, calculator: BaseCalculator, plan: Plan, dynamics: Dynamics
) -> tuple[list[list[float]], str]:
    """Go on to the next frame; lines of the table, and why it ended early or nothing."""
    state.atoms.calc = calculator
    stop = min(state.step + plan.frame_every, plan.end)
    rows = [] if state.step else [_row(state, dynamics)]
    leg = plan.leg(state.step)
    try:
        integrator = _integrator(state, leg, plan, dynamics)
        while state.step < stop:
            if state.step >= leg.end:
                leg = plan.leg(state.step)
                integrator = _integrator(state, leg, plan, dynamics)
            line = (state.step // plan.every + 1) * plan.every
            until = min(line, leg.end, stop)
            _advance(state, integrator, leg, until)
            if until in (line, plan.end):
                rows.append(_row(state, dynamics))
                if not np.isfinite(rows[-1]).all():
                    break
    except Exception as error:  # noqa: BLE001  (any calculator, on atoms that may fly apart)
        text = " ".join(str(error).split()) or type(error).__name__
        return rows, f"after step {state.step}: {text}"
    return rows, ""


def _integrator(state: State, leg: Leg, plan: Plan, dynamics: Dynamics) -> LangevinBAOAB:
    temperature, pressure = leg.targets(state.step)
    values: dict[str, Any] = {}
    if pressure is not None:
        tau = 1000 * dynamics.pressure_damping * units.fs
        hottest = max(max(one.stage.temperature) for one in plan.legs)
        mass = 3 * (len(state.atoms) + 1) * units.kB * hottest * tau**2  # as of Martyna et al.
        values = {
            "externalstress": -pressure * units.GPa, "hydrostatic": True, "P_mass": mass,
            "P_tau": FRICTION * tau,
        }  # fmt: skip
    made = LangevinBAOAB(
        state.atoms,
        timestep=dynamics.timestep * units.fs,
        temperature_K=temperature,
        T_tau=1000 * dynamics.temperature_damping * units.fs,
        rng=state.random,
        **values,
    )
    if pressure is not None:
        made.p_eps = state.piston
    return made


def _advance(state: State, integrator: LangevinBAOAB, leg: Leg, until: int) -> None:
    temperature, pressure = leg.targets((state.step + until) / 2)
    integrator.set_temperature(temperature)
    if pressure is not None:
        integrator.externalstress = -pressure * units.GPa
    integrator.run(until - state.step)
    state.step = until
    state.piston = 0.0 if pressure is None else float(integrator.p_eps)


def _row(state: State, dynamics: Dynamics) -> list[float]:
    atoms = state.atoms
    energy = consistent_energy(atoms)
    stress = atoms.get_stress(voigt=False, include_ideal_gas=True)
    return [
        state.step, state.step * dynamics.timestep / 1000, atoms.get_temperature(), energy,
        energy + atoms.get_kinetic_energy(), -np.trace(stress) / 3 / BAR, atoms.get_volume(),
    ]  # fmt: skip


def _save(path: Path, state: State, rows: list[list[float]]) -> None:
    with atomic_path(path) as temporary:
        np.savez(
            temporary,
            rows=np.array(rows).reshape(-1, len(COLUMNS)),
            step=state.step,
            positions=state.atoms.positions,
            momenta=state.atoms.get_momenta(),
            cell=state.atoms.cell.array,
            piston=state.piston,
            random=json.dumps(state.random.bit_generator.state),
        )


def _image(path: Path, start: Atoms) -> Atoms:
    block = np.load(path)
    return Atoms(start.numbers, positions=block["positions"], cell=block["cell"], pbc=True)


def _resumed(path: Path, start: Atoms) -> State:
    block = np.load(path)
    atoms = _image(path, start)
    atoms.set_momenta(block["momenta"])
    random = np.random.default_rng()
    random.bit_generator.state = json.loads(str(block["random"]))
    return State(int(block["step"]), atoms, float(block["piston"]), random)
