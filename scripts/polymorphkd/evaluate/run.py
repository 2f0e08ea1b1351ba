"""Judge one model on the test set: predict, compare, place on the landscape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import StageError
from ..labelled import read_labels
from ..predict import Predictor
from ..progress import logger
from .cells import with_cells
from .compare import compare

EXTERNAL = "external"
"""Fidelity of labels that came without one."""

OF_FRAME = ("fidelity", "cell_sS", "cell_Q6")
"""Columns of a frame that the rows of its atoms have as well."""


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
        :func:`compare.frame_table` plus sS, Q6, volume_per_atom, cell_sS, cell_Q6, ``fidelity``
        (what labelled it; ``external`` if the file does not say) and, where known, ``root``.
    forces : DataFrame
        :func:`compare.force_table` plus `OF_FRAME`.

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
    if "root" in reference.meta:
        frames["root"] = reference.meta["root"].to_numpy()
    fidelity = reference.meta.get("fidelity", pd.Series(EXTERNAL, reference.meta.index))
    frames["fidelity"] = fidelity.fillna(EXTERNAL).to_numpy()
    rmse = (frames["force_rmse"] ** 2 * frames["n_atoms"]).sum() / frames["n_atoms"].sum()
    logger.info("%d test frames, force RMSE %.1f meV/Å", len(frames), rmse**0.5)
    frames = with_cells(frames, points, cells)
    of_atoms = {name: np.repeat(frames[name].to_numpy(), frames["n_atoms"]) for name in OF_FRAME}
    return frames, forces.assign(**of_atoms)
