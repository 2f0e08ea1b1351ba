"""Label three frames of the landscape at many settings, through the store of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import EngineError, StageError
from ...frames import Frames, concatenate
from ...progress import logger
from ...settings import Label
from ...settings.converge import at_setting
from ..engines import Engine, make_engine
from ..run import label_shard
from ..walltime import Walltime

FRAMES = ("densest", "typical", "sparsest")
"""The frames of a scan, by name."""


def three_frames(points: pd.DataFrame) -> dict[str, str]:
    """Choose the frames of a scan from the landscape.

    The densest and the sparsest have the smallest and the largest volume per atom; they
    bear the smallest distances, where cutoffs matter, and the largest.  The typical one is
    that of all others which is closest to the medians of sS, Q6 and volume per atom, each
    measured in its median absolute deviation.  Of equal frames the first by id is taken.

    Parameters
    ----------
    points : DataFrame
        Landscape of the frames to label: frame_id, sS, Q6, volume_per_atom (Å^3).

    Returns
    -------
    dict
        Frame id by name, in the order of `FRAMES`.

    Raises
    ------
    StageError
        There are fewer than three different frames.
    """
    table = points.drop_duplicates("frame_id").sort_values("frame_id", ignore_index=True)
    if len(table) < len(FRAMES):
        raise StageError(
            f"label.converge: needs three frames, but the standard set has {len(table)}; select "
            "more (select.standard), or set label.converge to null"
        )
    values = table[["sS", "Q6", "volume_per_atom"]].to_numpy(dtype=float)
    volumes = values[:, 2]
    densest = int(volumes.argmin())
    sparsest = int(np.where(np.arange(len(volumes)) == densest, -np.inf, volumes).argmax())
    middle = np.nanmedian(values, axis=0)
    spread = np.nanmedian(np.abs(values - middle), axis=0)
    distance = (((values - middle) / np.where(spread > 0, spread, 1.0)) ** 2).sum(axis=1)
    # A frame whose sS or Q6 is not known is not typical, unless no other is left.
    distance = np.where(np.isfinite(distance), distance, np.finfo(float).max)
    distance[[densest, sparsest]] = np.inf
    chosen = (densest, int(distance.argmin()), sparsest)
    return dict(zip(FRAMES, table["frame_id"].iloc[list(chosen)], strict=True))


def in_use(settings: Label) -> tuple[float, float]:
    """k-spacing (1/Å) and cutoff (eV) that the set is labelled with."""
    section = getattr(settings, settings.engine)
    return section.kspacing, getattr(section, section.cutoff_key)


def scan_settings(settings: Label) -> list[tuple[float, float]]:
    """k-spacing (1/Å) and cutoff (eV) of every label of a scan, each pair once.

    First the settings in use, whose labels the set needs anyway, then the finest, then one
    variable at a time with the other at its finest.
    """
    converge = settings.converge
    assert converge is not None
    finest = (min(converge.kspacings), max(converge.cutoffs))
    along_k = [(k, finest[1]) for k in sorted(converge.kspacings, reverse=True)]
    along_cutoff = [(finest[0], c) for c in sorted(converge.cutoffs)]
    return list(dict.fromkeys([in_use(settings), finest, *along_k, *along_cutoff]))


def scan_engines(settings: Label) -> dict[tuple[float, float], Engine]:
    """Engine of every pair of :func:`scan_settings`.

    Raises
    ------
    EngineError
        The engine does not work here, or another key fixes what is to be scanned.
    """
    section = getattr(settings, settings.engine)
    engines: dict[tuple[float, float], Engine] = {}
    for kspacing, cutoff in scan_settings(settings):
        changed = {str(settings.engine): at_setting(section, kspacing, cutoff)}
        engines[kspacing, cutoff] = make_engine(settings.model_copy(update=changed))
    if len({engine.settings_hash for engine in engines.values()}) < len(engines):
        where = f"label.{settings.engine}"
        raise EngineError(
            f"label.converge: {where}.kspacing or {where}.{section.cutoff_key} changes nothing: "
            f"another key of {where} (such as a tag in its input) fixes the same"
        )
    return engines


def scan_frame(
    frame: Frames, settings: Label, store: str | Path, walltime: Walltime | None = None
) -> Frames:
    """Labels of one frame at every setting of the scan.

    Labels are taken from the store and put there as those of the set are: a scan that was
    killed goes on where it was, and what the set needs is computed once.

    Parameters
    ----------
    frame : Frames
        One frame.
    settings : Label
        With ``converge``.
    store : path
        Root of the label store.
    walltime : Walltime, optional

    Returns
    -------
    Frames
        The frame once per setting, as :func:`label_shard` returns it, with metadata
        kspacing (1/Å) and cutoff (eV).

    Raises
    ------
    EngineError
        See :func:`scan_engines`.
    StageError
        The next label would not finish before the job's limit.
    """
    parts = []
    for (kspacing, cutoff), engine in scan_engines(settings).items():
        logger.info("k-spacing %g 1/Å, cutoff %g eV", kspacing, cutoff)
        labelled = label_shard(frame, engine, store, walltime)
        parts.append(labelled.with_meta(kspacing=kspacing, cutoff=cutoff))
    return concatenate(parts)
