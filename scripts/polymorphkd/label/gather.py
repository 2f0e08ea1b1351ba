"""Join the shards, apply the gates, keep a record of every frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from ase.units import GPa

from ..errors import StageError
from ..frames import Frames, concatenate
from ..settings import Label
from .run import RECORD_COLUMNS


def gather(shards: Sequence[Frames], settings: Label) -> tuple[Frames, pd.DataFrame]:
    """Accepted labels and the records of all frames.

    Parameters
    ----------
    shards : sequence of Frames
        As :func:`label_shard` returns them.
    settings : Label

    Returns
    -------
    Frames
        Accepted frames sorted by frame id, with ``fidelity`` (the engine's name) and
        ``config_id`` (the frame id).
    DataFrame
        One row per frame: frame_id, status (``ok``, ``unconverged``, ``crashed`` or
        ``rejected:<gate>``), reason, n_atoms, energy (eV), max_force (eV/Å),
        pressure (GPa), seconds, scf_steps, engine, settings_hash, host.

    Raises
    ------
    StageError
        Labels made with different settings meet, or more frames failed than allowed.
    """
    frames = concatenate(shards).sorted_by_id()
    records = _records(frames)
    hashes = records["settings_hash"].unique()
    if len(hashes) > 1:
        raise StageError(
            f"label: labels made with different engine settings meet ({', '.join(hashes)}); "
            "a set must be labelled with one"
        )
    gates = settings.gates
    for name, column, limit in (
        ("max_force", "max_force", gates.max_force),
        ("max_pressure", "pressure", gates.max_pressure),
    ):
        out = (records["status"] == "ok") & (records[column].abs() > limit)
        records.loc[out, "reason"] = [
            f"{column} {value:.3g} above {limit:g}" for value in records.loc[out, column]
        ]
        records.loc[out, "status"] = f"rejected:{name}"
    _refuse_too_many(records, settings.max_failed_fraction)
    accepted = frames.take(np.flatnonzero(records["status"] == "ok"))
    lineage = [name for name in accepted.meta.columns if name not in RECORD_COLUMNS]
    accepted.meta = accepted.meta[lineage].assign(
        fidelity=settings.engine, config_id=accepted.frame_ids()
    )
    return accepted, records


def _records(frames: Frames) -> pd.DataFrame:
    assert frames.energy is not None
    assert frames.forces is not None
    assert frames.stress is not None
    largest = np.array(
        [
            np.linalg.norm(frames.forces[frames.atoms_of(i)], axis=1).max()
            for i in range(len(frames))
        ]
    )
    table = pd.DataFrame(
        {
            "frame_id": frames.frame_ids(),
            "n_atoms": frames.n_atoms,
            "energy": frames.energy,
            "max_force": largest,
            "pressure": -frames.stress[:, :3].mean(axis=1) / GPa,
        }
    )
    for name in RECORD_COLUMNS:
        table[name] = frames.meta[name].to_numpy()
    order = ["frame_id", "status", "reason"]
    return table[order + [name for name in table.columns if name not in order]]


def _refuse_too_many(records: pd.DataFrame, allowed: float) -> None:
    failed = records[records["status"] != "ok"]
    if len(failed) > allowed * len(records):
        counts = (failed["status"] + ": " + failed["reason"]).value_counts()
        rows = "\n".join(f"  {count:6d}  {what}" for what, count in counts.items())
        raise StageError(
            f"label: {len(failed)} of {len(records)} frames failed, more than "
            f"max_failed_fraction {allowed:g} allows:\n{rows}\n"
            "mend the cause and run again (finished labels are kept), or raise the limit"
        )
