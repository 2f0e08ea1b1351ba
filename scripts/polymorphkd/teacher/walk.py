"""Short molecular dynamics under the teacher, from every supplementary frame.

Mutation displaces atoms independently of each other; at a given energy that is not how atoms
of a warm crystal or a liquid lie.  A few tens of femtoseconds of dynamics bring the
correlations in, at the price of some evaluations of the teacher and none of DFT.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import units
from ase.data import atomic_masses

from ..frames import Frames, concatenate
from ..predict import Predictor, labels_of, single_precision
from ..progress import Counter, logger
from ..provenance import rng
from ..settings import Relabel, Walk
from .relabel import gates

WALKERS = 128
"""Frames that walk at once: one call of the teacher moves them all."""


def walk(
    frames: Frames, teacher: Predictor, settings: Relabel, seed: int, material: str
) -> Frames:
    """The frames and what Langevin dynamics makes of them.

    Every frame gets a temperature, uniform between the two of the settings, and moves at
    constant cell by the BAOAB splitting of Leimkuhler and Matthews (Appl. Math. Res. Express
    2013, 34).  Its walk ends early where the teacher cannot be trusted: at a force beyond
    ``max_force`` or a committee spread beyond ``max_spread``; the frame of that step is kept
    as the last one, so that the gates of :func:`.relabel.relabel` count it and, for the
    spread, it can be proposed for DFT.  The atoms are moved in single precision, where the
    teacher offers it.

    Parameters
    ----------
    frames : Frames
    teacher : Predictor
    settings : Relabel
        `walk` and the two gates are used.
    seed, material
        Name the random streams, one per frame id: how frames are dealt to jobs does not matter.

    Returns
    -------
    Frames
        Without labels; each frame first, then its snapshots every ``walk.every`` steps, with
        the metadata of the frame, its frame id as ``walk_start``, ``walk_step`` and
        ``walk_temperature`` (K).
    """
    chosen = settings.walk
    mover = single_precision(teacher)
    counter = Counter(len(frames) * chosen.steps, "steps of a frame")
    parts = []
    for start in range(0, len(frames), WALKERS):
        chunk = frames.take(np.arange(start, min(start + WALKERS, len(frames)))).without_labels()
        streams = [rng(seed, material, "walk", name) for name in chunk.frame_ids()]
        temperatures = np.array([stream.uniform(*chosen.temperatures) for stream in streams])
        parts.append(
            chunk.with_meta(
                walk_start=chunk.frame_ids(), walk_step=0, walk_temperature=temperatures
            )
        )
        walkers = _Walkers(parts[-1], chosen, streams)
        parts.extend(_snapshots(walkers, mover, settings, counter))
    result = concatenate(parts)
    logger.info("%d frames after walks from %d", len(result), len(frames))
    return result


@dataclass
class _Walkers:
    """Positions (Å) and velocities (Å per ASE unit of time) of frames that move together."""

    frames: Frames
    settings: Walk
    streams: list[np.random.Generator]

    def __post_init__(self) -> None:
        temperatures = self.frames.meta["walk_temperature"].to_numpy(dtype=float)
        masses = atomic_masses[self.frames.numbers]
        heat = np.repeat(temperatures, self.frames.n_atoms) * units.kB
        self.masses = masses[:, None]
        self.thermal = np.sqrt(heat / masses)[:, None]  # standard deviation of a velocity
        self.positions = self.frames.positions.copy()
        self.velocities = self.thermal * self.noise()

    def noise(self) -> np.ndarray:
        """Standard normal numbers, shape (n_atoms, 3), each frame's from its own stream."""
        sizes = self.frames.n_atoms
        return np.concatenate(
            [s.standard_normal((n, 3)) for s, n in zip(self.streams, sizes, strict=True)]
        )

    def kick(self, forces: np.ndarray) -> None:
        """B: half a step of velocities under forces, eV/Å."""
        self.velocities += 0.5 * self.settings.timestep * units.fs * forces / self.masses

    def drift(self) -> None:
        """A, O, A: positions move half a step before and after the thermostat's whole one."""
        half = 0.5 * self.settings.timestep * units.fs
        keep = np.exp(-self.settings.friction * 1e-3 * self.settings.timestep)  # 1/ps times fs
        self.positions += half * self.velocities
        self.velocities = (
            keep * self.velocities + np.sqrt(1 - keep**2) * self.thermal * self.noise()
        )
        self.positions += half * self.velocities

    def now(self, step: int) -> Frames:
        """The frames as they are."""
        moved = self.frames.with_meta(walk_step=step)
        moved.positions = self.positions.copy()
        return moved

    def only(self, rows: np.ndarray) -> None:
        """Leave the other frames where they are, for good."""
        atoms = np.repeat(np.isin(np.arange(len(self.frames)), rows), self.frames.n_atoms)
        self.frames = self.frames.take(rows)
        self.streams = [self.streams[row] for row in rows]
        for name in ("masses", "thermal", "positions", "velocities"):
            setattr(self, name, getattr(self, name)[atoms])


def _snapshots(
    walkers: _Walkers, teacher: Predictor, settings: Relabel, counter: Counter
) -> list[Frames]:
    """Frames every few steps and, of walks that end early, the last one."""
    found = []
    forces = _forces(walkers, walkers.frames, teacher, settings)[0]
    for step in range(1, settings.walk.steps + 1):
        if not len(walkers.frames):
            break
        walkers.kick(forces)
        walkers.drift()
        moved = walkers.now(step)
        forces, lost = _forces(walkers, moved, teacher, settings)
        counter.step(len(moved))
        due = step % settings.walk.every == 0
        found.append(moved if due else moved.take(np.flatnonzero(lost)))
        walkers.kick(forces)
    return found


def _forces(
    walkers: _Walkers, frames: Frames, teacher: Predictor, settings: Relabel
) -> tuple[np.ndarray, np.ndarray]:
    """Forces (eV/Å) on those that walk on, and which of `frames` were told to stop."""
    labelled = teacher.predict(frames)
    lost = (gates(labelled, settings)["status"] != "ok").to_numpy()
    forces = labels_of(labelled)[1]
    if lost.any():
        walkers.only(np.flatnonzero(~lost))
    return forces[np.repeat(~lost, frames.n_atoms)], lost
