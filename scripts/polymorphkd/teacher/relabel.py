"""Teacher labels of the supplementary frames: computed in shards, filtered, gathered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import StageError
from ..frames import Frames, concatenate
from ..predict import Predictor, labels_of
from ..progress import Counter, logger
from ..select import kin, near
from ..settings import Landscape, Relabel
from .committee import SPREAD

FIDELITY = "teacher"
"""Value of the metadata column ``fidelity`` of frames that a teacher labelled."""

_CHUNK = 64  # frames between two looks at the clock


def relabel(frames: Frames, teacher: Predictor, settings: Relabel) -> tuple[Frames, pd.DataFrame]:
    """Teacher labels of `frames`, without those that the teacher cannot be trusted on.

    Parameters
    ----------
    frames : Frames
        Existing labels are ignored.
    teacher : Predictor
    settings : Relabel

    Returns
    -------
    Frames
        Kept frames in the given order, with ``fidelity`` = ``teacher``, ``config_id`` (the
        frame id) and, from a committee, ``force_spread`` (eV/Å).
    DataFrame
        One row per given frame: frame_id, status (``ok``, ``dropped:max_force``,
        ``dropped:spread`` or, with an energy or stress that is no number,
        ``dropped:not_finite``), max_force (largest norm of a force, eV/Å), spread (eV/Å, NaN
        with one model) and fidelity.
    """
    counter = Counter(len(frames), "frames")
    parts = []
    for start in range(0, len(frames), _CHUNK):
        chunk = frames.take(np.arange(start, min(start + _CHUNK, len(frames))))
        parts.append(teacher.predict(chunk))
        counter.step(len(chunk))
    labelled = concatenate(parts)
    records = gates(labelled, settings)
    labelled = labelled.with_meta(fidelity=FIDELITY, config_id=records["frame_id"].to_numpy())
    return labelled.take(np.flatnonzero(records["status"] == "ok")), records


def gates(labelled: Frames, settings: Relabel) -> pd.DataFrame:
    """Which labels of a teacher are to be trusted; see :func:`relabel` for the columns."""
    spread = (
        labelled.meta[SPREAD].to_numpy(dtype=float)
        if SPREAD in labelled.meta
        else np.full(len(labelled), np.nan)
    )
    largest = _max_force(labelled)
    status = np.full(len(labelled), "ok", dtype=object)
    status[spread > settings.max_spread] = "dropped:spread"
    status[~(largest <= settings.max_force)] = "dropped:max_force"  # drops NaN as well
    status[~_finite(labelled)] = "dropped:not_finite"
    return pd.DataFrame(
        {
            "frame_id": labelled.frame_ids(),
            "status": status,
            "max_force": largest,
            "spread": spread,
            "fidelity": FIDELITY,
        }
    )


def _finite(frames: Frames) -> np.ndarray:
    """Which frames have a finite energy and stress; without a volume there is no stress."""
    if not len(frames):
        return np.zeros(0, dtype=bool)
    energy, _, stress = labels_of(frames)
    volumeless = ~frames.pbc.all(axis=1)
    return np.asarray(np.isfinite(energy) & (volumeless | np.isfinite(stress).all(axis=1)))


def _max_force(frames: Frames) -> np.ndarray:
    """Largest norm of a force in each frame, eV/Å, shape (n_frames,)."""
    if not len(frames):
        return np.zeros(0)
    norms = np.linalg.norm(labels_of(frames)[1], axis=1)
    return np.maximum.reduceat(norms, frames.offsets[:-1])


def gather(
    shards: Sequence[Frames],
    records: Sequence[pd.DataFrame],
    held_out: Frames,
    landscape: Landscape,
    distance: float,
    cutoff: float | None = None,
) -> tuple[Frames, pd.DataFrame]:
    """Join the shards and keep what validates and tests the models out of the training.

    A frame that equals a held-out one, lies within `distance` of one on the landscape, or is
    of its family (its parent, child or sibling, or a walk from one) is dropped: a student
    trained on it would be tested on what it has seen.

    Parameters
    ----------
    shards : sequence of Frames
    records : sequence of DataFrame
        As :func:`relabel` returns them.
    held_out : Frames
        Test and validation frames.
    landscape : Landscape
    distance : float
        See :func:`polymorphkd.select.near`.
    cutoff : float, Å, optional
        Neighbour cutoff of Q6, where the settings say ``auto``.

    Returns
    -------
    Frames, DataFrame
        As from :func:`relabel`, sorted by frame id whatever the number of shards; the
        status may also be ``dropped:near_test`` or ``dropped:kin_of_test``.

    Raises
    ------
    StageError
        No frame is left.
    """
    frames = concatenate(shards).sorted_by_id()
    table = pd.concat(list(records), ignore_index=True).sort_values("frame_id", ignore_index=True)
    names = np.array(frames.frame_ids(), dtype=str)
    lineage = _lineage(frames)
    close = np.isin(names, held_out.frame_ids())
    close |= near(frames, held_out, landscape, distance, cutoff)
    # Walks that began close to a held-out frame are of its family.
    begun = lineage["frame_id"].isin(names[close]).to_numpy()
    related = kin(lineage, _lineage(held_out)) | begun
    for status, dropped in (("kin_of_test", related), ("near_test", close)):
        table.loc[table["frame_id"].isin(names[dropped]), "status"] = f"dropped:{status}"
    seen = related | close
    counts = table["status"].value_counts()
    summary = ", ".join(f"{n} {status}" for status, n in counts.items())
    logger.info("%d supplementary frames: %s", len(table), summary)
    kept = frames.take(np.flatnonzero(~seen))
    if not len(kept):
        raise StageError(
            f"relabel: none of {len(table)} supplementary frames is left ({summary}); raise "
            "relabel.max_force or relabel.max_spread, or select more frames"
        )
    return kept, table


def _lineage(frames: Frames) -> pd.DataFrame:
    """Columns for :func:`.kin`; a frame of a walk stands for the one that the walk began at."""
    starts = pd.Series(frames.frame_ids(), index=frames.meta.index)
    if "walk_start" in frames.meta:
        starts = frames.meta["walk_start"].fillna(starts)
    return frames.meta.assign(frame_id=starts)
