"""Gates: a label that is converged and complete still has to be a sane one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from ase.units import GPa

from ..frames import Frames
from ..settings import Gates

SIGHT = 3.0
"""Distances (Å) above this are not looked for: no gate asks for them."""


def measured(frames: Frames) -> pd.DataFrame:
    """What the gates look at, one row per frame.

    Parameters
    ----------
    frames : Frames
        Labels that are absent or NaN give NaN.

    Returns
    -------
    DataFrame
        n_atoms; composition (reduced formula); energy, eV; max_force, eV/Å; pressure, GPa,
        positive under compression; min_distance, Å, missing where no two atoms are within
        3 Å.
    """
    from ase.neighborlist import neighbor_list  # on use: slow to import

    n = len(frames)
    forces, stress = frames.forces, frames.stress
    largest = np.full(n, np.nan)
    if forces is not None:
        lengths = np.linalg.norm(forces, axis=1)
        largest = np.array([lengths[frames.atoms_of(i)].max(initial=0.0) for i in range(n)])
    structures = [frames.without_labels().atoms(i) for i in range(n)] if n else []
    return pd.DataFrame(
        {
            "n_atoms": frames.n_atoms,
            "composition": [_composition(frames, i) for i in range(n)],
            "energy": np.full(n, np.nan) if frames.energy is None else frames.energy,
            "max_force": largest,
            "pressure": np.nan if stress is None else -stress[:, :3].mean(axis=1) / GPa,
            "min_distance": [
                neighbor_list("d", atoms, SIGHT).min(initial=np.inf) for atoms in structures
            ],
        }
    ).replace({"min_distance": {np.inf: np.nan}})


def _composition(frames: Frames, index: int) -> str:
    numbers, counts = np.unique(frames.numbers[frames.atoms_of(index)], return_counts=True)
    share = np.gcd.reduce(counts)
    return " ".join(f"{z}:{count // share}" for z, count in zip(numbers, counts, strict=True))


def apply_gates(records: pd.DataFrame, gates: Gates) -> None:
    """Turn ``ok`` into ``rejected:<gate>``, with a reason, for frames outside a gate.

    Parameters
    ----------
    records : DataFrame
        Columns of :func:`measured`, status, reason and, where it is known, entropy (eV per
        cell); changed in place.  A quantity that is missing passes its gate.
    gates : Gates
    """
    for name, values, limit, text in _questions(records, gates):
        wrong = values < limit if name.startswith("min") else values > limit
        out = (records["status"] == "ok") & wrong
        records.loc[out, "reason"] = [
            text.format(value=value, limit=limit) for value in values[out]
        ]
        records.loc[out, "status"] = f"rejected:{name}"


def _questions(records: pd.DataFrame, gates: Gates) -> Iterator[tuple[str, pd.Series, float, str]]:
    """Name, measured values, limit and text of every gate, the plainest defect first."""
    above = "{value:.3g} above {limit:g}"
    yield (
        "min_distance", records["min_distance"], gates.min_distance,
        "min_distance {value:.3g} below {limit:g} Å",
    )  # fmt: skip
    yield "max_force", records["max_force"], gates.max_force, f"max_force {above} eV/Å"
    yield (
        "max_pressure", records["pressure"].abs(), gates.max_pressure, f"pressure {above} GPa"
    )  # fmt: skip
    if gates.max_entropy is not None and "entropy" in records:
        per_atom = records["entropy"].abs() / records["n_atoms"]
        yield "max_entropy", per_atom, gates.max_entropy, f"smearing entropy {above} eV/atom"
    if gates.energy_window is not None:
        # Asked for last and over what passed so far: wild energies would move the median.
        per_atom = (records["energy"] / records["n_atoms"]).where(records["status"] == "ok")
        middle = per_atom.groupby(records["composition"]).transform("median")
        yield (
            "energy_window", (per_atom - middle).abs(), gates.energy_window,
            f"energy is {above} eV/atom from the median of its composition",
        )  # fmt: skip
