"""Label one shard of frames, resuming at the first frame without a final result."""

from __future__ import annotations

import math
import socket
from collections import Counter as Tally
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..frames import Frames
from ..progress import Counter, logger
from .engines import Engine
from .result import as_record
from .store import Store
from .walltime import Walltime

RECORD_COLUMNS = (
    "status", "reason", "seconds", "scf_steps", "engine", "settings_hash", "host",
    "energy_zero", "entropy",
)  # fmt: skip
NUMBERS = ("seconds", "scf_steps", "energy_zero", "entropy")
"""Columns of the records that hold numbers, NaN where there is none."""


def deal(frames: Frames, shard: int, n_shards: int) -> Frames:
    """Frames of one shard: sorted by frame id, then dealt round-robin."""
    ordered = frames.sorted_by_id()
    return ordered.take(np.arange(shard, len(ordered), n_shards))


def label_shard(
    frames: Frames, engine: Engine, store_folder: str | Path, walltime: Walltime | None = None
) -> Frames:
    """Labels of `frames`, taken from the store or computed and stored one by one.

    Parameters
    ----------
    frames : Frames
    engine : Engine
    store_folder : path
        Root of the :class:`Store`.
    walltime : Walltime, optional
        Limit of the job; without one there is none.

    Returns
    -------
    Frames
        Same frames; NaN labels where a calculation failed; metadata columns status,
        reason, seconds (wall time of the calculation), scf_steps, engine, settings_hash,
        host, energy_zero and entropy (eV).

    Raises
    ------
    StageError
        The next frame would not finish before the job's limit; all others are stored.
    """
    walltime = walltime or Walltime()
    store = Store(store_folder, engine.settings_hash)
    names = frames.frame_ids()
    records = {name: store.get(name) for name in names}
    waiting = [i for i, name in enumerate(names) if records[name] is None]
    if len(waiting) < len(names):
        logger.info("%d of %d labels are in the store", len(names) - len(waiting), len(names))
    for record in records.values():
        walltime.note(record["seconds"] if record else 0.0)
    counter = Counter(len(waiting), "labels")
    tally: Tally[str] = Tally()
    # A job whose Snakemake was killed may still work on the same frames.  In an order of its
    # own and with another look before each frame, two jobs share the work and hardly repeat any.
    for i in np.random.default_rng().permutation(waiting):
        records[names[i]] = store.get(names[i])
        if records[names[i]] is not None:
            counter.step()
            continue
        walltime.check(len(names) - len(waiting) + counter.done, len(names))
        result = engine.calculate(frames.atoms(i))
        record = _checked(as_record(result), len(frames.numbers[frames.atoms_of(i)]))
        record |= {
            "engine": engine.version,
            "settings_hash": engine.settings_hash,
            "host": socket.gethostname(),
            # Another frame with this id may have its atoms in another order.
            "order": frames.atom_order(i).tolist(),
        }
        store.put(names[i], record)
        records[names[i]] = record
        walltime.note(result.seconds)
        tally[record["status"]] += 1
        if record["status"] != "ok":
            logger.warning("frame %s: %s: %s", names[i], record["status"], record["reason"])
        note = ", ".join(f"{n} {status}" for status, n in sorted(tally.items()))
        counter.step(note=note)
    return _labelled(frames, [records[name] or {} for name in names])


def unfinished(frames: Frames, engine: Engine, store_folder: str | Path) -> int:
    """How many frames another run would compute: those without a final record in the store."""
    store = Store(store_folder, engine.settings_hash)
    return sum(store.get(name) is None for name in frames.frame_ids())


def _checked(record: dict[str, Any], n_atoms: int) -> dict[str, Any]:
    """Turn an ``ok`` result that is incomplete or not finite into a crashed one."""
    if record["status"] != "ok":
        return record
    shapes = {"energy": (), "forces": (n_atoms, 3), "stress": (6,)}
    for name, shape in shapes.items():
        value = np.asarray(record[name], dtype=float)
        if value.shape != shape or not np.all(np.isfinite(value)):
            empty = dict.fromkeys(shapes)
            return record | empty | {"status": "crashed", "reason": f"{name} is not finite"}
    return record


def _reordered(record: dict[str, Any], frames: Frames, index: int) -> np.ndarray:
    """Forces of a record for the atoms as they stand in frame `index`."""
    forces = np.array(record["forces"], dtype=float)
    if record.get("order") is None:  # of a version that did not write it down
        return forces
    ordered = np.empty_like(forces)
    ordered[frames.atom_order(index)] = forces[record["order"]]
    return ordered


def _labelled(frames: Frames, records: list[dict[str, Any]]) -> Frames:
    energy = np.full(len(frames), np.nan)
    stress = np.full((len(frames), 6), np.nan)
    forces = np.full((len(frames.numbers), 3), np.nan)
    for i, record in enumerate(records):
        if record["status"] == "ok":
            energy[i] = record["energy"]
            stress[i] = record["stress"]
            forces[frames.atoms_of(i)] = _reordered(record, frames, i)
    columns = {name: [record.get(name) for record in records] for name in RECORD_COLUMNS}
    for name in NUMBERS:
        columns[name] = [math.nan if n is None else float(n) for n in columns[name]]
    outcome = pd.DataFrame(columns, index=range(len(frames)))
    result = frames.without_labels()
    result.energy, result.forces, result.stress = energy, forces, stress
    kept = result.meta.drop(columns=list(RECORD_COLUMNS), errors="ignore")
    result.meta = pd.concat([kept, outcome], axis=1)
    return result
