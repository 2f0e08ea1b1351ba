"""Isotypic substitution: the structures of one material as structures of another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from ..errors import InputError
from ..frames import Frames


def substitute(
    frames: Frames, elements: Mapping[str, str], volume_per_atom: float | None = None
) -> Frames:
    """Replace elements and scale cells, which keeps fractional coordinates.

    Parameters
    ----------
    frames : Frames
        Labels are dropped: they are those of another material.
    elements : mapping
        Old symbol to new one, such as ``{"Ir": "Al"}``; exchanges are possible.
    volume_per_atom : float, optional
        Wanted median volume per atom of the set, Å^3: every cell is scaled by one factor,
        so compressed structures stay compressed.  Without it cells are kept.

    Raises
    ------
    InputError
        A symbol is unknown or absent from the frames, or the volume makes no sense here.
    """
    table = np.arange(max(atomic_numbers.values()) + 1)
    present = set(np.unique(frames.numbers).tolist())
    for old, new in elements.items():
        for symbol in (old, new):
            if symbol not in atomic_numbers or symbol == "X":
                raise InputError(f"substitute: {symbol!r} is not a chemical symbol")
        if atomic_numbers[old] not in present:
            names = ", ".join(chemical_symbols[number] for number in sorted(present))
            raise InputError(f"substitute: no atom is {old}; the frames hold {names}")
        table[atomic_numbers[old]] = atomic_numbers[new]
    factor = 1.0
    if volume_per_atom is not None:
        bulk = frames.pbc.all(axis=1)
        if not 0 < volume_per_atom < np.inf or not bulk.all():
            raise InputError(
                "substitute: a volume per atom must be positive, and every frame periodic in "
                f"all directions ({int((~bulk).sum())} are not)"
            )
        factor = float(np.cbrt(volume_per_atom / np.median(frames.volumes / frames.n_atoms)))
    # What belongs to the old material: its points, and ids that no frame has any more.
    gone = ["sS", "Q6", "settings_digest", "parent", "root"]
    meta = frames.meta.drop(columns=gone, errors="ignore")
    return Frames(
        frames.offsets,
        table[frames.numbers],
        frames.positions * factor,
        frames.cells * factor,
        frames.pbc,
        meta=meta,
    )
