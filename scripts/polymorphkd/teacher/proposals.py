"""Frames on which the committee disagrees, as proposals for the next round of DFT labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ..frames import Frames
from ..landscape import points
from ..progress import logger
from ..select import run_rounds
from ..settings import Choice, Landscape, Round

UNCERTAIN = "dropped:spread"
"""Status of a frame on which the members disagree beyond ``relabel.max_spread``."""


def propose(
    frames: Frames,
    records: pd.DataFrame,
    count: int,
    landscape: Landscape,
    seed: int,
    material: str,
    cutoff: float | None = None,
) -> Frames:
    """At most `count` of the frames that were dropped for their spread, over the landscape.

    Parameters
    ----------
    frames : Frames
        The frames that were dropped, perhaps with others; labelled or not.
    records : DataFrame
        See :func:`.relabel.gather`; frame_id, status and spread are used.
    count : int
    landscape : Landscape
    seed, material
        Name the random stream.
    cutoff : float, Å, optional
        Neighbour cutoff of Q6, where the settings say ``auto``.

    Returns
    -------
    Frames
        Without labels, sorted by frame id, with ``config_id`` and ``force_spread`` (eV/Å); no
        frames where the teacher was sure of all.  If there are more than `count`, one stands for
        each cell of a grid on the landscape.
    """
    spreads = records[records["status"] == UNCERTAIN].set_index("frame_id")["spread"]
    names = np.array(frames.frame_ids(), dtype=str)
    uncertain = frames.take(np.flatnonzero(np.isin(names, spreads.index))).without_labels()
    uncertain = replace(uncertain, meta=pd.DataFrame()).sorted_by_id()
    if len(uncertain) > count:
        table = points(uncertain, landscape, cutoff)
        rounds = [("proposals", Round(count=count))]
        uncertain = uncertain.take(run_rounds(table, rounds, Choice(), seed, material).rows)
    logger.info(
        "%d frames beyond the allowed spread, %d of them proposed", len(spreads), len(uncertain)
    )
    chosen = uncertain.frame_ids()
    return uncertain.with_meta(config_id=chosen, force_spread=spreads.loc[chosen].to_numpy())
