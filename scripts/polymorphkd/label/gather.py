"""Join the shards, apply the gates, keep a record of every frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import StageError
from ..frames import Frames, concatenate
from ..settings import Label
from .gates import apply_gates, measured
from .run import RECORD_COLUMNS

NO_RECORD = "selected, but no record of a calculation"


def gather(
    shards: Sequence[Frames], settings: Label, selection: Frames | None = None
) -> tuple[Frames, pd.DataFrame]:
    """Accepted labels and the records of all frames.

    Parameters
    ----------
    shards : sequence of Frames
        As :func:`label_shard` returns them.
    settings : Label
    selection : Frames, optional
        What was to be labelled; its frames that no shard holds become rows ``missing``.

    Returns
    -------
    Frames
        Accepted frames sorted by frame id, with ``fidelity`` (the engine's name) and
        ``config_id`` (the frame id).
    DataFrame
        One row per frame: frame_id, status (``ok``, ``unconverged``, ``crashed``,
        ``timeout``, ``truncated``, ``missing`` or ``rejected:<gate>``), reason, n_atoms,
        composition, energy (eV), max_force (eV/Å), pressure (GPa), min_distance (Å),
        seconds, scf_steps, engine, settings_hash, host, energy_zero and entropy (eV).

    Raises
    ------
    StageError
        Labels made with different settings meet, or more frames failed than allowed.
    """
    frames = concatenate(shards).sorted_by_id()
    records = _records(frames)
    hashes = records["settings_hash"].dropna().unique()
    if len(hashes) > 1:
        raise StageError(
            f"label: labels made with different engine settings meet ({', '.join(hashes)}); "
            "a set must be labelled with one"
        )
    apply_gates(records, settings.gates)
    accepted = frames.take(np.flatnonzero(records["status"] == "ok"))
    if selection is not None:
        records = _with_missing(records, selection)
    _refuse_too_many(records, settings.max_failed_fraction)
    lineage = [name for name in accepted.meta.columns if name not in RECORD_COLUMNS]
    accepted.meta = accepted.meta[lineage].assign(
        fidelity=settings.engine, config_id=accepted.frame_ids()
    )
    return accepted, records


def _records(frames: Frames) -> pd.DataFrame:
    table = measured(frames).assign(frame_id=frames.frame_ids())
    for name in RECORD_COLUMNS:
        table[name] = frames.meta[name].to_numpy()
    # A shard that was stopped in time has frames that nobody has touched.
    untouched = table["status"].isna()
    table.loc[untouched, ["status", "reason"]] = ["missing", NO_RECORD]
    order = ["frame_id", "status", "reason"]
    return table[order + [name for name in table.columns if name not in order]]


def _with_missing(records: pd.DataFrame, selection: Frames) -> pd.DataFrame:
    wanted = pd.DataFrame(
        {
            "frame_id": selection.frame_ids(),
            "status": "missing",
            "reason": NO_RECORD,
            "n_atoms": selection.n_atoms,
        }
    ).drop_duplicates("frame_id")
    absent = wanted[~wanted["frame_id"].isin(records["frame_id"])]
    if not len(absent):
        return records
    joined = pd.concat([records, absent], ignore_index=True)
    return joined.sort_values("frame_id", ignore_index=True)


def _refuse_too_many(records: pd.DataFrame, allowed: float) -> None:
    failed = records[records["status"] != "ok"]
    if len(failed) > allowed * len(records):
        counts = (failed["status"] + ": " + failed["reason"]).value_counts()
        rows = "\n".join(f"  {count:6d}  {what}" for what, count in counts.items())
        raise StageError(
            f"label: {len(failed)} of {len(records)} frames failed, more than "
            f"max_failed_fraction {allowed:g} allows:\n{rows}\n"
            "mend the cause and run snakemake again: what failed by its machine is tried again, "
            "up to label.max_tries runs (then with --forcerun label_frames), and finished labels "
            "are kept; or raise the limit"
        )
