"""Import of labels from files: the same gates as for labels of the own engines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from .errors import InputError, StageError
from .frames import Frames, concatenate, write_frames
from .label.external import External, read_external
from .label.gates import apply_gates, measured
from .label.kmesh import largest_spacing, mesh_groups, notes, refusal
from .label.mixing import mixture
from .label.vasp.output import RunSettings, describe
from .provenance import atomic_path
from .readers import expand_sources
from .settings import Gates

COLUMNS = (
    "file", "index", "status", "reason", "energy", "n_atoms", "frame_id", "max_force", "pressure",
    "min_distance", "energy_zero", "entropy", "has_stress", "scf_steps", "settings",
    "settings_hash", "kspacing", "note",
)  # fmt: skip
"""Of the records; energies in eV per cell, forces in eV/Å, pressures in GPa, lengths in Å,
kspacing (the largest of the k-mesh in this cell) in 1/Å."""


@dataclass(frozen=True)
class Imported:
    """What an import found: the accepted frames and one row per frame of the files."""

    frames: Frames
    records: pd.DataFrame


def import_labels(
    patterns: Sequence[str | Path],
    output: Path,
    records_file: Path,
    gates: Gates,
    max_failed_fraction: float = 1.0,
    force: bool = False,
    same_mesh: bool = False,
) -> Imported:
    """Read labels, judge every frame, write the accepted ones and the records of all.

    Parameters
    ----------
    patterns : sequence
        OUTCAR, vasprun.xml, extended XYZ, DeePMD folders, anything that is read as labelled
        frames; wildcards too.
    output : path
        .extxyz, .xyz or .parquet for the accepted frames, sorted by frame id.
    records_file : path
        .csv or .parquet; see `COLUMNS`.  It is written even if the labels are refused.
    gates : Gates
    max_failed_fraction : float
        Share of frames that may fail.
    force : bool
        Overwrite existing files.
    same_mesh : bool
        Refuse labels whose k-meshes no single spacing gives; else they have a note.

    Raises
    ------
    InputError
        A file cannot be used or written.
    StageError
        No frame is accepted, too many fail, or labels of different settings meet.
    """
    paths = expand_sources(patterns)
    _check_outputs(output, records_file, paths, force)
    rows = [row for path in paths for row in read_external(path)]
    table, labelled = _judged(rows, gates)
    # Before duplicates go: one structure with two methods is a mixture too.
    ok = np.flatnonzero(table["status"] == "ok")
    mixed = mixture([rows[i] for i in ok])
    groups = mesh_groups([rows[i] for i in ok])
    if mixed is None and same_mesh and len(groups) > 1:
        mixed = refusal(groups)
    for i, note in notes(groups).items():
        table.loc[ok[i], "note"] = "; ".join(filter(None, [table.loc[ok[i], "note"], note]))
    _reject_duplicates(table)
    with atomic_path(records_file) as temporary:
        if records_file.suffix == ".csv":
            table.to_csv(temporary, index=False)
        else:
            table.to_parquet(temporary)
    failed = int((table["status"] != "ok").sum())
    if failed == len(table) or failed > max_failed_fraction * len(table):
        raise StageError(_too_many(table, failed, max_failed_fraction, records_file))
    if mixed is not None:
        raise StageError(mixed)
    frames = _accepted(table, labelled)
    write_frames(output, frames)
    return Imported(frames, table)


def _check_outputs(output: Path, records: Path, inputs: Sequence[Path], force: bool) -> None:
    for path, allowed in (
        (output, (".extxyz", ".xyz", ".parquet")),
        (records, (".csv", ".parquet")),
    ):
        if path.suffix not in allowed:
            raise InputError(f"{path}: allowed is {', '.join(allowed)}")
        if path.resolve() in {one.resolve() for one in inputs}:
            raise InputError(f"{path}: is read as well; choose another name")
        if path.exists() and not force:
            raise InputError(f"{path}: exists already; give --force to overwrite it")
    if output.resolve() == records.resolve():
        raise InputError(f"{output}: labels and records need files of their own")


def _judged(rows: Sequence[External], gates: Gates) -> tuple[pd.DataFrame, Frames]:
    """Records of all rows after the gates, and the frames of those that have a frame_id."""
    table = pd.DataFrame([_row(one) for one in rows])
    for name in COLUMNS:
        if name not in table:
            table[name] = None
    table = table[list(COLUMNS)]
    numbers = [
        "energy", "max_force", "pressure", "min_distance", "energy_zero", "entropy", "kspacing"
    ]  # fmt: skip
    table[numbers] = table[numbers].apply(pd.to_numeric)
    whole = [i for i, one in enumerate(rows) if one.frame is not None]
    frames = concatenate([one.frame for one in rows if one.frame is not None])
    seen = measured(frames)
    seen.index = pd.Index(whole)
    names = ["max_force", "pressure", "min_distance", "n_atoms"]
    table["composition"] = None
    table.loc[whole, [*names, "composition"]] = seen[[*names, "composition"]]
    ids = frames.frame_ids()
    table.loc[whole, "frame_id"] = ids
    stress = np.zeros(len(frames), bool)
    if frames.stress is not None:
        stress = np.isfinite(frames.stress).all(axis=1)
    table.loc[whole, "has_stress"] = stress
    apply_gates(table, gates)
    return table.drop(columns="composition"), frames


def _accepted(table: pd.DataFrame, labelled: Frames) -> Frames:
    """Those of the labelled frames whose row is ``ok``, sorted by id, with their origin."""
    candidates = table[table["frame_id"].notna()]
    chosen = candidates[candidates["status"] == "ok"]
    frames = labelled.take(np.flatnonzero(candidates["status"] == "ok"))
    frames.meta = pd.DataFrame(
        {
            "fidelity": np.where(chosen["settings"] == "", "external", "vasp"),
            "config_id": chosen["frame_id"].to_numpy(),
            "settings_hash": chosen["settings_hash"].to_numpy(),
            "source": chosen["file"].to_numpy(),
            "source_index": chosen["index"].to_numpy(),
        }
    )
    return frames.sorted_by_id()


def _row(one: External) -> dict[str, object]:
    text, known, kspacing = "", one.settings, None
    if isinstance(known, RunSettings):
        if known.mesh is not None and one.frame is not None:
            kspacing = largest_spacing(one.frame.cells[0], known.mesh)
        text, known = describe(known), known.settings_hash
    return {
        "file": one.file,
        "index": one.index,
        "status": one.status,
        "reason": one.reason,
        "settings": text,
        "settings_hash": known,
        "kspacing": kspacing,
        "note": "",
        **one.values,
    }


def _reject_duplicates(table: pd.DataFrame) -> None:
    """Of frames with one id the first accepted one stays."""
    ok = table[table["status"] == "ok"]
    first = ok.groupby("frame_id").head(1).set_index("frame_id")
    for i in ok.index[ok["frame_id"].duplicated()]:
        twin = first.loc[table.loc[i, "frame_id"]]
        table.loc[i, ["status", "reason"]] = [
            "rejected:duplicate", f"same structure as frame {twin['index']} of {twin['file']}"
        ]  # fmt: skip


def _too_many(table: pd.DataFrame, failed: int, allowed: float, records: Path) -> str:
    bad = table[table["status"] != "ok"]
    counts = Counter((bad["status"] + ": " + bad["reason"]).tolist())
    rows = "\n".join(f"  {count:6d}  {what}" for what, count in counts.most_common(20))
    limit = "no label is left" if failed == len(table) else f"more than {allowed:g} of all"
    return (
        f"import-labels: {failed} of {len(table)} frames failed, {limit}:\n{rows}\nsee {records}"
    )
