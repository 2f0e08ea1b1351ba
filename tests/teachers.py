"""What the tests of the teachers in the second environment share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from conftest import REPOSITORY
from polymorphkd.errors import EngineError
from polymorphkd.frames import Frames, from_atoms, write_frames
from polymorphkd.predict import Predictor, labels_of
from polymorphkd.settings import Teacher
from polymorphkd.teacher import TrainingJob
from polymorphkd.teacher.dp_environment import located, versions

ENVIRONMENT = Path(os.environ.get("TEACHERS_ENV", REPOSITORY / ".venv-teachers"))
"""Where `make env-teachers` builds it, or what the variable TEACHERS_ENV names."""

SCHEDULE = {
    "r_max": 4.0, "steps": 60, "batch_atoms": 8, "learning_rate": 1e-2,
    "final_learning_rate": 1e-3, "energy_prefactor": (1, 1), "force_prefactor": (10, 10),
    "virial_prefactor": (1, 1), "precision": "float64", "device": "cpu",
}  # fmt: skip
NETWORKS = {
    "dpa": {"angle_r_max": 3.2, "layers": 1, "features": 8, "fitting": [16]},
    "mace-deepmd": {"channels": 4, "max_ell": 1, "correlation": 2, "interactions": 1},
    "nequip": {"features": 4, "l_max": 1, "layers": 2, "parity": False},
}


OFFSETS = {"Al": -50.0, "Cu": -200.0}
"""Energies per atom (eV) as large as those of DFT, far from zero and different by element."""


def settings(kind: str, **changes: object) -> Teacher:
    """A teacher that trains in seconds; skips where its environment is absent."""
    try:
        versions(located(ENVIRONMENT), kind)
    except EngineError as error:
        pytest.skip(f"the teachers' environment is absent (make env-teachers): {error}")
    section = {**SCHEDULE, **NETWORKS[kind], **changes}
    if kind == "nequip":
        section["precision"] = "float32"
    return Teacher.model_validate(
        {"kind": kind, "environment": str(ENVIRONMENT), kind.replace("-", "_"): section}
    )


def emt_frames(
    n: int, seed: int, elements: tuple[str, ...] = ("Al", "Cu"), shifted: bool = True
) -> Frames:
    """Strained and rattled fcc cells of four atoms and any composition, labelled by EMT."""
    random = np.random.default_rng(seed)
    images = []
    for _ in range(n):
        image = bulk("Al", "fcc", 3.9, cubic=True)
        image.symbols[:] = random.choice(elements, len(image))
        strain = random.normal(0, 0.02, (3, 3)) + np.eye(3) * random.uniform(-0.04, 0.04)
        image.set_cell(image.cell @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        image.rattle(0.1, rng=random)
        image.calc = EMT()
        shift = sum(OFFSETS.get(symbol, 0.0) for symbol in image.symbols) if shifted else 0.0
        image.info["REF_energy"] = image.get_potential_energy() + shift
        image.info["REF_stress"] = image.get_stress()
        image.arrays["REF_forces"] = image.get_forces()
        image.calc = None
        images.append(image)
    return from_atoms(images)


def make_job(folder: Path, k: int = 0, seed: int = 1, shifted: bool = True) -> TrainingJob:
    """Job of the committee's model `k` on 24 and 6 frames of Al and Cu."""
    for name, n in (("train", 24), ("valid", 6)):
        path = folder / f"{name}.extxyz"
        if not path.is_file():
            write_frames(path, emt_frames(n, n, shifted=shifted))
    return TrainingJob(
        train=folder / "train.extxyz",
        valid=folder / "valid.extxyz",
        model=folder / f"model_{k}.model",
        metrics=folder / f"metrics_{k}.json",
        work=folder / f"work_{k}",
        elements=["Al", "Cu"],
        seed=seed,
    )


def check_derivatives(teacher: Predictor, frame: Frames, tolerance: float) -> None:
    """Forces and stress of one frame equal finite differences of the energy.

    The tolerance is for forces, eV/Å; that of stresses is a tenth of it, eV/Å^3.
    """
    _, forces, stress = labels_of(teacher.predict(frame))

    def energy(atoms: object) -> float:
        return float(labels_of(teacher.predict(from_atoms([atoms])))[0][0])

    step = 1e-3
    for atom, axis in ((0, 0), (2, 1), (3, 2)):
        sides = []
        for sign in (1, -1):
            moved = frame.without_labels().atoms(0)
            moved.positions[atom, axis] += sign * step
            sides.append(energy(moved))
        slope = (sides[0] - sides[1]) / (2 * step)
        assert -slope == pytest.approx(forces[atom, axis], abs=tolerance)
    for voigt, (i, j) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        sides = []
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[i, j] += sign * step / 2
            strain[j, i] += sign * step / 2
            strained = frame.without_labels().atoms(0)
            strained.set_cell(strained.cell.array @ (np.eye(3) + strain), scale_atoms=True)
            sides.append(energy(strained))
        slope = (sides[0] - sides[1]) / (2 * step) / frame.volumes[0]
        assert slope == pytest.approx(stress[0, voigt], abs=tolerance / 10)
