"""Judge one model on the test set: predict, compare, place on the landscape."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..errors import StageError
from ..labelled import read_labels
from ..predict import Predictor
from ..progress import logger
from .cells import with_cells
from .compare import compare

LINEAGE = ("root", "fidelity")
"""Metadata of a frame that its row of errors keeps: family, and what labelled it."""


def evaluate_model(
    predictor: Predictor, test: str | Path, points: pd.DataFrame, cells: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Errors per frame and per atom of one model on the test set.

    Parameters
    ----------
    predictor : Predictor
    test : path
        Held-out frames with DFT labels.
    points : DataFrame
        Landscape points of all labelled frames, those of the test set among them.
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
        A test frame lacks its energy or a force; a stress may lack.
    StageError
        The model's answer is incomplete, out of order or not finite, or a test frame has no
        landscape point.
    """
    reference = read_labels(test)
    ids = reference.frame_ids()
    placed = points.drop_duplicates("frame_id").set_index("frame_id")
    if not set(ids) <= set(placed.index):
        raise StageError(f"{test}: a frame has no landscape point; map the labelled frames again")
    frames, forces = compare(reference, predictor.predict(reference.without_labels()))
    for name in ("sS", "Q6", "volume_per_atom"):
        frames[name] = placed.loc[ids, name].to_numpy()
    for name in LINEAGE:
        if name in reference.meta:
            frames[name] = reference.meta[name].to_numpy()
    rmse = (frames["force_rmse"] ** 2 * frames["n_atoms"]).sum() / frames["n_atoms"].sum()
    logger.info("%d test frames, force RMSE %.1f meV/Å", len(frames), rmse**0.5)
    return with_cells(frames, points, cells), forces
