"""What melt-quench runs gave: their files, their table, and the seeds of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..errors import StageError
from ..frames import Frames, concatenate, from_atoms, write_frames
from ..progress import logger
from ..provenance import atomic_path, read_json, write_json
from ..readers import read_frames
from .schedule import Plan, Run

GIGAPASCAL = 1e4
"""In bar."""

ORDERED = 0.3
"""Q6 above which a crystal is told from a liquid of a hundred atoms."""

ADVICE = (
    "take a shorter seeds.md.timestep, a potential that knows such densities, or lower "
    "temperatures"
)


@dataclass(frozen=True)
class MeltRun:
    """One run of a material.

    Parameters
    ----------
    start : str
        Prototype or file that it began with.
    frames : Frames
        With ``source``; none if the run failed.
    reason : str
        Why it failed, or nothing.
    """

    start: str
    frames: Frames
    reason: str = ""


def melt_run(start: str, run: Run) -> MeltRun:
    """A run as part of the seeds: ``source`` says start, stage, temperature and step."""
    frames = run.frames
    if len(frames):
        names = [
            f"{start} {row.stage} {row.temperature_K:.0f} K step {row.step}"
            for row in frames.meta.itertuples()
        ]
        frames = frames.with_meta(source=names)
    return MeltRun(start, frames, run.reason)


def run_table(start: str, run: Run, plan: Plan, n_atoms: int) -> pd.DataFrame:
    """Lines of a run with what was aimed at: K, GPa, eV and Å^3 per atom, ps."""
    table = run.table
    aims = plan.aims(table["step"].to_numpy())
    return pd.DataFrame(
        {
            "start": start,
            "stage": table["stage"],
            "step": table["step"],
            "time_ps": table["time_ps"],
            "temperature_K": table["temperature_K"],
            "target_K": aims[:, 0],
            "pressure_GPa": table["pressure_bar"] / GIGAPASCAL,
            "target_GPa": aims[:, 1],
            "potential_eV_per_atom": table["potential_eV"] / n_atoms,
            "total_eV_per_atom": table["total_eV"] / n_atoms,
            "volume_A3_per_atom": table["volume_A3"] / n_atoms,
        }
    )


def write_run(frames: Path, record: Path, table: Path, run: MeltRun, lines: pd.DataFrame) -> None:
    """Write the three files of a run; the record comes last."""
    write_frames(frames, run.frames)
    with atomic_path(table) as path:
        lines.to_csv(path, sep="\t", index=False, float_format="%.8g")
    status = "failed" if run.reason else "ok"
    write_json(
        record,
        {"start": run.start, "status": status, "reason": run.reason, "frames": len(run.frames)},
    )


def read_runs(frames: Sequence[str], records: Sequence[str]) -> list[MeltRun]:
    """Runs from their files."""
    runs = []
    for path, record in zip(frames, records, strict=True):
        values = read_json(record)
        kept = from_atoms([]) if values["reason"] else read_frames(path)
        runs.append(MeltRun(values["start"], kept, values["reason"]))
    return runs


def gather(runs: Sequence[MeltRun]) -> Frames:
    """Seeds of all runs; those that failed are left out with a warning.

    Raises
    ------
    StageError
        Every run failed.
    """
    failed = [f"{run.start}: {run.reason}" for run in runs if run.reason]
    if runs and len(failed) == len(runs):
        lines = "\n  ".join(failed)
        raise StageError(f"every melt-quench run failed; {ADVICE}\n  {lines}")
    for line in failed:
        logger.warning("melt-quench run left out: %s; %s", line, ADVICE)
    parts = []
    for run in runs:
        if not run.reason:
            kept = run.frames.without_labels()
            kept.meta = kept.meta[["source"]]
            parts.append(kept)
    return concatenate(parts)


def with_points(
    table: pd.DataFrame, runs: Sequence[MeltRun], points: pd.DataFrame
) -> pd.DataFrame:
    """Lines of the runs, with sS and Q6 where a frame was kept.

    Parameters
    ----------
    table : DataFrame
        Of :func:`run_table`, any number of runs.
    runs : sequence of MeltRun
    points : DataFrame
        frame_id, sS and Q6 of the seeds.
    """
    parts = [
        pd.DataFrame({"start": run.start, "step": run.frames.meta["step"].to_numpy(),
                      "frame_id": run.frames.frame_ids()})
        for run in runs if len(run.frames)
    ]  # fmt: skip
    kept = pd.concat(parts, ignore_index=True).merge(
        points[["frame_id", "sS", "Q6"]], on="frame_id", how="left"
    )
    return table.merge(kept, on=["start", "step"], how="left")


def unmelted(table: pd.DataFrame) -> list[str]:
    """Starts of clear local order (Q6 above 0.3) that never lost half of it."""
    found = []
    for start, lines in table.dropna(subset=["Q6"]).groupby("start", sort=False):
        first = lines["Q6"].iloc[0]
        if first > ORDERED and lines["Q6"].min() > first / 2:
            found.append(str(start))
    return found
