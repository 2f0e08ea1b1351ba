"""Labelled frames as DeePMD systems, and the neighbour counts that size a descriptor.

DeePMD wants one folder per composition with atoms sorted by type, and the virial
W = -V * stress (eV), where the stress has ASE's sign (positive is tension).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from ase.stress import voigt_6_to_full_3x3_stress

from ..errors import InputError
from ..frames import Frames
from ..labelled import has_stress
from ..landscape.images import complete_cells
from ..landscape.local import largest_counts
from ..predict import labels_of
from ..settings.student import Label

SEL_MARGIN = 1.1
"""Neighbours beyond the largest count of the data that the descriptor makes room for."""

LABELS: tuple[Label, ...] = get_args(Label)
"""What a frame can teach."""

SEL_STEP = 4
"""`sel` is rounded up to a multiple of this, as DeePMD does itself."""


def compositions(frames: Frames, elements: Sequence[str]) -> dict[str, np.ndarray]:
    """Frames of equal composition: name such as ``Al4`` or ``Al2Cu6`` -> frame indices.

    Raises
    ------
    InputError
        A frame holds an element that is not in `elements`.
    """
    known = np.array([atomic_numbers[symbol] for symbol in elements])
    strange = [chemical_symbols[number] for number in np.setdiff1d(frames.numbers, known)]
    if strange:
        raise InputError(f"a frame holds {', '.join(strange)}; known are {', '.join(elements)}")
    groups: dict[tuple[int, ...], list[int]] = {}
    for index in range(len(frames)):
        numbers = frames.numbers[frames.atoms_of(index)]
        counts = (numbers[:, None] == known[None, :]).sum(axis=0)
        groups.setdefault(tuple(int(n) for n in counts), []).append(index)
    return {
        "".join(f"{s}{n}" for s, n in zip(elements, counts, strict=True) if n): np.array(indices)
        for counts, indices in sorted(groups.items())
    }


def by_type(frames: Frames, elements: Sequence[str]) -> np.ndarray:
    """Flat atom indices that sort each frame's atoms by type, stable, shape (n_atoms_total,)."""
    rank = np.zeros(max(atomic_numbers.values()) + 1, dtype=np.int64)
    rank[[atomic_numbers[symbol] for symbol in elements]] = np.arange(len(elements))
    owner = np.repeat(np.arange(len(frames)), frames.n_atoms)
    return np.lexsort((rank[frames.numbers], owner))


def write_systems(
    frames: Frames, elements: Sequence[str], folder: Path, labels: Collection[str] = LABELS
) -> list[Path]:
    """Write frames as DeePMD systems: per composition one folder with and one without virials.

    DeePMD-kit leaves out of the loss of a system what it has no file of: ``energy.npy`` (which
    then does not enter the energies of isolated atoms either), ``force.npy``, ``virial.npy``.

    Parameters
    ----------
    frames : Frames
        Labelled frames, sorted by id, so that the order of a file does not matter.
    elements : sequence of str
        Types of the model in order; also elements that no frame contains.
    folder : path
        Parent of the systems.
    labels : collection of str
        Which of `LABELS` to write.

    Returns
    -------
    list of Path
        The system folders; none for no frames.
    """
    if not len(frames):
        return []
    energy, forces, stress = labels_of(frames)
    order = by_type(frames, elements)
    virials = -frames.volumes[:, None, None] * voigt_6_to_full_3x3_stress(stress)
    stressed = has_stress(frames) & ("virial" in labels)
    parts = {
        name + suffix: indices[stressed[indices] == wanted]
        for name, indices in compositions(frames, elements).items()
        for suffix, wanted in (("", True), ("_no_virial", False))
    }
    systems = []
    for name, indices in parts.items():
        if not len(indices):
            continue
        system = folder / name
        arrays = system / "set.000"
        arrays.mkdir(parents=True)
        atoms = np.array([order[frames.atoms_of(int(i))] for i in indices])
        types = [elements.index(chemical_symbols[n]) for n in frames.numbers[atoms[0]]]
        (system / "type.raw").write_text("".join(f"{t}\n" for t in types))
        (system / "type_map.raw").write_text("".join(f"{symbol}\n" for symbol in elements))
        n = len(indices)
        np.save(arrays / "coord.npy", frames.positions[atoms].reshape(n, -1))
        np.save(arrays / "box.npy", frames.cells[indices].reshape(n, 9))
        if "energy" in labels:
            np.save(arrays / "energy.npy", energy[indices])
        if "forces" in labels:
            np.save(arrays / "force.npy", forces[atoms].reshape(n, -1))
        if stressed[indices[0]]:
            np.save(arrays / "virial.npy", virials[indices].reshape(n, 9))
        systems.append(system)
    return systems


def largest_neighbour_counts(
    frames: Frames, elements: Sequence[str], cutoff: float
) -> tuple[list[int], float]:
    """Most neighbours of each element that any atom has, and the shortest distance.

    Parameters
    ----------
    frames : Frames
    elements : sequence of str
    cutoff : float, Å

    Returns
    -------
    list of int
        Per element, in the order of `elements`; periodic images count.
    float
        Shortest interatomic distance, Å (inf where no pair lies within `cutoff`).

    Raises
    ------
    InputError
        A cell is flat.
    """
    cells = complete_cells(frames.cells, frames.pbc)
    flat = np.flatnonzero(np.abs(np.linalg.det(cells)) < 1e-9)
    if len(flat):
        raise InputError(f"frame {flat[0]}: its cell vectors lie in one plane")
    kind = np.full(max(atomic_numbers.values()) + 1, len(elements))
    kind[[atomic_numbers[symbol] for symbol in elements]] = np.arange(len(elements))
    counts = np.zeros(len(elements), dtype=np.int64)
    shortest = largest_counts(
        frames.offsets,
        frames.positions,
        kind[frames.numbers],
        cells,
        frames.pbc,
        cutoff,
        counts,
    )
    return [int(n) for n in counts], float(shortest)


def sel_from_counts(counts: Sequence[int]) -> list[int]:
    """Room for neighbours per element from the largest counts in the data.

    Neighbours beyond `sel` would be dropped silently, which breaks energy conservation,
    so there is a margin for configurations denser than any in the data.
    """
    return [max(SEL_STEP, -(-int(n * SEL_MARGIN + 1) // SEL_STEP) * SEL_STEP) for n in counts]
