"""Judge one model on the test set: predict, compare, place on the landscape."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from .. import landscape
from ..frames import read_frames
from ..predict import Predictor
from ..progress import logger
from ..settings import Landscape
from .cells import with_cells
from .compare import check_reference, compare

LINEAGE = ("root",)
"""Metadata of a frame that its row of errors keeps."""


def evaluate_model(
    predictor: Predictor,
    test: str | Path,
    others: list[str | Path],
    settings: Landscape,
    cutoff: float,
    cells: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Errors per frame and per atom of one model on the test set.

    Parameters
    ----------
    predictor : Predictor
    test : path
        Held-out frames with DFT labels.
    others : list of path
        The rest of the labelled frames; with the test set they span the landscape's cells.
    settings : Landscape
    cutoff : float
        Neighbour cutoff of Q6 that every set of this run was mapped with, Å.
    cells : int
        Cells per landscape axis.

    Returns
    -------
    frames : DataFrame
        :func:`compare.frame_table` plus sS, Q6, volume_per_atom, cell_sS, cell_Q6 and lineage.
    forces : DataFrame
        :func:`compare.force_table`.

    Raises
    ------
    InputError
        A test frame lacks a label.
    StageError
        The model's answer is incomplete, out of order or not finite.
    """
    reference = read_frames(test)
    check_reference(reference, str(test))
    points = landscape.points(reference, settings, cutoff)
    rest = [landscape.points(read_frames(path), settings, cutoff) for path in others]
    frames, forces = compare(reference, predictor.predict(reference.without_labels()))
    for name in ("sS", "Q6", "volume_per_atom"):
        frames[name] = points[name].to_numpy()
    for name in LINEAGE:
        if name in reference.meta:
            frames[name] = reference.meta[name].to_numpy()
    rmse = (frames["force_rmse"] ** 2 * frames["n_atoms"]).sum() / frames["n_atoms"].sum()
    logger.info("%d test frames, force RMSE %.1f meV/Å", len(frames), rmse**0.5)
    return with_cells(frames, pd.concat([points, *rest]), cells), forces
