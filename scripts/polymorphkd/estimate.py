"""What a run will cost, from what is known before it: frames, measured times, sizes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError
from .frames import Frames
from .label import Engine, gather, label_shard, make_engine
from .label.converge.scan import FRAMES, scan_settings
from .label.store import Store
from .readers import read_frames
from .report.costs import STAGE_OF_RULE, read_costs, stage_costs
from .settings import Label, Settings, deal_pools

LABEL_BYTES = (700.0, 75.0)
"""Bytes of a stored label, and of each of its atoms: numbers as JSON text, indented."""

FRAME_BYTES = (250.0, 100.0)
"""Bytes of a labelled frame in the shards and the gathered set together, and of each atom."""

ASSUMED_EXPONENT = 2.0
"""Time of a label grows with this power of the number of atoms where sizes do not tell."""

FIT_LABELS = 10
"""Fewer measured labels than this say nothing of how the time grows: the first one of a process
also starts the engine."""

ATTEMPTS = 3
"""First attempt and the retries of the profiles; attempt n has n times the run time."""


@dataclass(frozen=True)
class Row:
    """Cost of one stage; None is unknown."""

    stage: str
    what: str
    core_hours: float | None
    megabytes: float | None
    basis: str


@dataclass(frozen=True)
class Times:
    """Wall times of labels that were made with the settings in use.

    Parameters
    ----------
    n_atoms : ndarray, shape (n,), int
    seconds : ndarray, shape (n,), float64, s
    """

    n_atoms: np.ndarray
    seconds: np.ndarray

    def exponent(self) -> float:
        """Power of the number of atoms with which the time grows, between 0 and 3."""
        if len(self.seconds) < FIT_LABELS or len(set(self.n_atoms.tolist())) < 2:
            return ASSUMED_EXPONENT
        slope = np.polyfit(np.log(self.n_atoms), np.log(np.maximum(self.seconds, 1e-3)), 1)[0]
        return float(np.clip(slope, 0.0, 3.0))

    def predict(self, n_atoms: np.ndarray) -> np.ndarray:
        """Expected wall time (s) of labels with these numbers of atoms, shape as given.

        The mean of the measured times is kept, so that labels of the same sizes cost what
        they did cost.
        """
        power = self.exponent()
        scale = self.seconds.sum() / np.sum(self.n_atoms.astype(float) ** power)
        return scale * np.asarray(n_atoms, dtype=float) ** power


@dataclass(frozen=True)
class Estimate:
    """Costs of all stages and what should be known about them."""

    material: str
    rows: list[Row]
    remarks: list[str]

    def as_json(self) -> dict[str, Any]:
        """The numbers as JSON-ready values."""
        return asdict(self)


def estimate(settings: Settings, folder: Path, pilot: bool = False) -> Estimate:
    """Estimated costs of a run.

    Parameters
    ----------
    settings : Settings
    folder : path
        ``results/{material}``: frames, labels and measured times that are there are used.
    pilot : bool
        Label two frames now, the middle and the largest in size, into the store of labels.

    Raises
    ------
    InputError
        A pilot is asked for before there are frames to label.
    EngineError
        The engine does not work here.
    """
    frames = _standard(settings, folder)
    remarks: list[str] = []
    if settings.inputs.labelled:
        label = Row("label", "your own labels", 0.0, None, "inputs.labelled")
    else:
        label = _label_row(settings, folder, frames, pilot, remarks)
    costs = stage_costs(read_costs(folder / "benchmarks"))
    rows = []
    for stage in dict.fromkeys(STAGE_OF_RULE.values()):
        if stage == "label":
            rows.append(label)
        elif stage in costs.index:
            spent = costs.loc[[stage]]
            jobs = f"{spent['jobs'].sum()} jobs"
            hours = float(spent["cpu_seconds"].sum()) / 3600
            rows.append(Row(stage, jobs, hours, _megabytes(folder / stage), "the last run"))
        else:
            rows.append(Row(stage, "", None, None, "never run here"))
    known = [row.core_hours for row in rows if row.core_hours is not None]
    missing = [row.stage for row in rows if row.core_hours is None]
    what = f"without {', '.join(missing)}" if missing else ""
    sizes = [row.megabytes for row in rows if row.megabytes is not None]
    rows.append(Row("sum", what, sum(known), sum(sizes), "what is known"))
    return Estimate(settings.material, rows, remarks)


def _standard(settings: Settings, folder: Path) -> Frames | None:
    path = Path(settings.inputs.standard or folder / "select" / "standard.extxyz")
    # Frames that are equal are labelled once.
    return read_frames(path).sorted_by_id() if path.is_file() else None


def _label_row(
    settings: Settings, folder: Path, frames: Frames | None, pilot: bool, remarks: list[str]
) -> Row:
    if frames is None and pilot:
        raise InputError(
            f"{folder / 'select/standard.extxyz'}: no such file; a pilot needs frames: run "
            f"`snakemake {folder}/select/standard.extxyz` first, which costs no label"
        )
    if frames is None:
        return _unselected(settings, remarks)
    engine = make_engine(settings.label)
    store = folder / "label" / "store"
    if pilot:
        remarks.extend(_pilot(frames, settings.label, engine, store))
    n_atoms = np.asarray(frames.n_atoms)
    what = f"{len(frames):,} frames, {n_atoms.sum():,} atoms"
    size = (_line(LABEL_BYTES, n_atoms) + _line(FRAME_BYTES, n_atoms)) / 1e6
    times, labelled = _times(frames, engine, store)
    if times is None:
        remarks.append("no label was made with these settings; --pilot measures two")
        return Row("label", what, None, size, "sizes of the frames")
    seconds = times.predict(n_atoms)
    waiting = float(seconds[~labelled].sum())
    if settings.label.converge is not None:
        n = len(FRAMES) * len(scan_settings(settings.label))
        remarks.append(
            f"label.converge: {n} labels of {len(FRAMES)} frames, most of them finer and so "
            "slower, are not in these numbers"
        )
    hours, notes = _pools(settings, seconds, waiting)
    remarks.extend(notes)
    known = "" if len(times.seconds) >= FIT_LABELS else " (assumed)"
    sizes = f"{times.n_atoms.min()} to {times.n_atoms.max()} atoms"
    remarks.append(
        f"label: {seconds.mean():.1f} s per label on this kind of core, time growing as "
        f"n_atoms^{times.exponent():.1f}{known}; {labelled.sum():,} of {len(frames):,} labels are "
        "there"
    )
    return Row("label", what, hours, size, f"{len(times.seconds):,} labels of {sizes}")


def _pilot(frames: Frames, label: Label, engine: Engine, store: Path) -> list[str]:
    """Label the frame of middle size and the largest one; what keeps them out of the set."""
    order = np.argsort(frames.n_atoms, kind="stable")
    shard = label_shard(frames.take(sorted({order[len(order) // 2], order[-1]})), engine, store)
    _, records = gather([shard], label.model_copy(update={"max_failed_fraction": 1.0}))
    failed = records[records["status"] != "ok"]
    return ("pilot: " + failed["status"] + ": " + failed["reason"]).tolist()


def _unselected(settings: Settings, remarks: list[str]) -> Row:
    counts = [one.count for one in settings.select.standard]
    if None in counts:
        what = "unknown number of frames (select.standard by resolution)"
    else:
        what = f"at most {sum(c for c in counts if c):,} frames"
    if not settings.inputs.seeds:
        low, high = settings.seeds.n_atoms
        md = settings.seeds.md
        if md is not None and md.melt_quench is not None:
            high = max(high, md.melt_quench.n_atoms)
        what += f" of {low} to {high} atoms"
    remarks.append("frames are not selected yet: times and sizes are not known before")
    return Row("label", what, None, None, "select.standard")


def _times(frames: Frames, engine: Engine, store: Path) -> tuple[Times | None, np.ndarray]:
    """Times of the labels in the store with the settings in use, and which frames have one."""
    found = Store(store, engine.settings_hash)
    records = [found.get(name) for name in frames.frame_ids()]
    pairs = [
        (int(n), float(record["seconds"]))
        for n, record in zip(frames.n_atoms, records, strict=True)
        if record is not None and record.get("seconds")
    ]
    labelled = np.array([record is not None for record in records])
    if not pairs:
        return None, labelled
    n_atoms, seconds = (np.array(column) for column in zip(*pairs, strict=True))
    return Times(n_atoms, seconds), labelled


def _pools(settings: Settings, seconds: np.ndarray, waiting: float) -> tuple[float, list[str]]:
    """Core hours of the labels still to make, and remarks on pools whose jobs are too long."""
    label = settings.label
    dealt = deal_pools(label.pools, label.n_shards)
    hours, notes = 0.0, []
    job = seconds.sum() / label.n_shards / 60
    for name, pool in label.pools.items():
        share = dealt.count(name) / label.n_shards
        hours += share * waiting / 3600 * pool.cores
        allowed = pool.runtime * sum(range(1, ATTEMPTS + 1))
        notes.append(
            f"pool {name}: {dealt.count(name)} of {label.n_shards} jobs, about {job:.0f} min "
            f"each; allowed {pool.runtime} min, {allowed} min with retries"
        )
        if job > allowed:
            notes.append(f"  -> too little: raise label.n_shards or label.pools.{name}.runtime")
    if len(label.pools) > 1:
        notes.append("times of all pools are taken as equal; what one core or GPU does differs")
    return hours, notes


def _line(bytes_: tuple[float, float], n_atoms: np.ndarray) -> float:
    return float(bytes_[0] * len(n_atoms) + bytes_[1] * n_atoms.sum())


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
