"""Labels computed elsewhere: every frame of any file as a row, and the frames worth a look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..frames import Frames, from_atoms
from ..readers import Chunk, stream
from ..readers.sources import COMPRESSED, open_bytes
from .vasp.oszicar import read_oszicar
from .vasp.outcar import read_outcar
from .vasp.output import RunSettings, Step, VaspOutput, judge
from .vasp.xml import read_xml

NOT_RECORDED = "not recorded"
"""Settings of labels whose file does not tell how they were computed."""


@dataclass(frozen=True)
class External:
    """One frame of a file.

    Parameters
    ----------
    file : str
    index : int
        Position in the file from 0.
    status, reason : str
    frame : Frames or None
        The labelled frame itself where the status is ``ok``.
    settings : RunSettings or str
        Of the run, or a digest that an earlier import left.
    values : dict
        Further columns of the records: n_atoms, energy (eV) and what else is known.
    """

    file: str
    index: int
    status: str
    reason: str
    frame: Frames | None = None
    settings: RunSettings | str = NOT_RECORDED
    values: dict[str, Any] = field(default_factory=dict)


def read_external(path: Path) -> Iterator[External]:
    """Every frame of an OUTCAR, a vasprun.xml, or any other source of labelled frames.

    Of an OSZICAR, which holds no structures, every row says why it is no label.

    Raises
    ------
    InputError
        There is no such file.  Whatever is in a file becomes a row.
    """
    kind = vasp_kind(path)
    if kind == "xml":
        yield from _of_vasp(read_xml(path))
    elif kind == "outcar":
        yield from _of_vasp(read_outcar(path))
    elif kind == "oszicar":
        yield from _of_oszicar(path)
    else:
        yield from _of_others(path)


def vasp_kind(path: Path) -> str:
    """``xml``, ``outcar`` or ``oszicar``, by name or first bytes, else nothing."""
    plain = path.with_suffix("") if path.suffix in COMPRESSED else path
    if not path.is_file():
        return ""
    if plain.suffix == ".xml" or "vasprun" in plain.name:
        return "xml"
    for name in ("OUTCAR", "OSZICAR"):
        if name in plain.name:
            return name.lower()
    try:
        with open_bytes(path) as file:
            head = file.read(500)
    except (EOFError, OSError, ValueError):
        return ""
    if b"<modeling>" in head:
        return "xml"
    return "outcar" if head.lstrip().startswith(b"vasp.") else ""


def _of_vasp(output: VaspOutput) -> Iterator[External]:
    file, settings = str(output.path), output.settings or NOT_RECORDED
    for index, step in enumerate(output.steps):
        status, reason = judge(output, step)
        frame = from_atoms([_labelled(step)]) if status == "ok" else None
        values = {
            "n_atoms": len(step.atoms),
            "energy": step.energy,
            "energy_zero": step.energy_zero,
            "entropy": step.entropy,
            "scf_steps": step.n_scf,
            "note": output.note,
        }
        yield External(file, index, status, reason, frame, settings, values)
    n = len(output.steps)
    if not n and output.problem is not None:
        yield External(file, 0, *output.problem, None, settings)
    elif not output.complete:
        reason = f"the file ends too early; {n} whole ionic steps stand before"
        yield External(file, n, "truncated", reason, None, settings)
    elif not n:
        yield External(file, 0, "rejected:energy", "holds no whole ionic step", None, settings)


def _labelled(step: Step) -> Any:
    atoms = step.atoms.copy()
    atoms.info["REF_energy"] = step.energy
    atoms.arrays["REF_forces"] = step.forces
    if step.stress is not None:
        atoms.info["REF_stress"] = step.stress
    return atoms


def _of_oszicar(path: Path) -> Iterator[External]:
    for index, one in enumerate(read_oszicar(path)):
        values = {"energy": one.energy, "energy_zero": one.energy_zero, "scf_steps": one.n_scf}
        yield External(str(path), index, one.status, one.reason, values=values)


def _of_others(path: Path) -> Iterator[External]:
    try:
        chunks = stream(path)
    except InputError as error:
        if not path.exists():
            raise
        yield External(str(path), 0, "rejected:file", str(error))
        return
    try:
        for chunk in chunks:
            yield from _of_chunk(chunk)
    except InputError as error:
        yield External(str(path), 0, "rejected:file", str(error))


def _of_chunk(chunk: Chunk) -> Iterator[External]:
    frames = chunk.frames
    for i, index in enumerate(chunk.index.tolist()):
        energy = np.nan if frames.energy is None else float(frames.energy[i])
        forces = None if frames.forces is None else frames.forces[frames.atoms_of(i)]
        status, reason = "ok", ""
        if not np.isfinite(energy):
            status, reason = "rejected:energy", "holds no energy"
        elif forces is None or not np.isfinite(forces).all():
            status, reason = "rejected:forces", "holds no whole set of forces"
        values = {"n_atoms": int(frames.n_atoms[i]), "energy": energy}
        known = frames.meta.iloc[i].get("settings_hash")
        settings = known if isinstance(known, str) else NOT_RECORDED
        frame = frames.take([i]) if status == "ok" else None
        yield External(chunk.path, index, status, reason, frame, settings, values)
    for one in chunk.broken:
        yield External(chunk.path, one.index, "rejected:file", one.reason)
