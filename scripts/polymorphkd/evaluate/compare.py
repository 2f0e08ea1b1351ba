"""Compare the labels of a model with the reference, frame by frame and atom by atom.

Energies are compared as they are: no shift, no fit.  A model whose energies are off by a
constant is wrong by that constant here, because its errors would be hidden otherwise.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..errors import StageError
from ..frames import Frames
from ..labelled import has_stress

VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")
"""Order of the six stored components of a symmetric tensor."""

TENSOR_WEIGHTS = np.array([1, 1, 1, 2, 2, 2]) / 9
"""Weight of each Voigt component in a mean over the nine components of the tensor."""

AXES = ("Fx", "Fy", "Fz")


def virial_per_atom(frames: Frames) -> np.ndarray:
    """Virial -V sigma / N of each frame, shape (n_frames, 6), eV/atom, Voigt order.

    NaN for a frame without stress.
    """
    if frames.stress is None:
        return np.full((len(frames), 6), np.nan)
    return -frames.stress * (frames.volumes / frames.n_atoms)[:, None]


def _check_prediction(reference: Frames, predicted: Frames) -> None:
    if not predicted.labelled or predicted.frame_ids() != reference.frame_ids():
        raise StageError("the model did not return every label of the same frames in order")
    assert predicted.energy is not None
    assert predicted.forces is not None
    assert predicted.stress is not None
    bad_atoms = ~np.isfinite(predicted.forces).all(axis=1)
    bad = ~np.isfinite(predicted.energy)
    bad |= has_stress(reference) & ~np.isfinite(predicted.stress).all(axis=1)
    bad |= np.add.reduceat(bad_atoms, predicted.offsets[:-1]) > 0
    if bad.any():
        ids = np.array(reference.frame_ids())[bad]
        raise StageError(
            f"the model predicts values that are not finite for {len(ids)} of "
            f"{len(reference)} frames, the first is {ids[0]}"
        )


def frame_table(reference: Frames, predicted: Frames) -> pd.DataFrame:
    """Errors of each frame, prediction minus reference.

    Parameters
    ----------
    reference, predicted : Frames
        The same frames in the same order, both with energy and forces; the reference may
        lack the stress of a frame.

    Returns
    -------
    DataFrame, one row per frame
        frame_id; n_atoms; energy_ref, energy_pred (eV/atom); energy_error (meV/atom, signed);
        force_rmse (meV/Å, over the 3 N components); force_max_error (meV/Å, largest norm of
        an atom's error vector); virial_{xx..xy}_ref and _pred (eV/atom); virial_error
        (meV/atom, RMSE over the nine components of the tensor per atom).  Without a reference
        stress virial_error and the virial_*_ref are NaN.
    """
    assert reference.energy is not None
    assert predicted.energy is not None
    assert reference.forces is not None
    assert predicted.forces is not None
    n_atoms = reference.n_atoms
    table = pd.DataFrame({"frame_id": reference.frame_ids(), "n_atoms": n_atoms})
    table["energy_ref"] = reference.energy / n_atoms
    table["energy_pred"] = predicted.energy / n_atoms
    table["energy_error"] = 1000 * (table["energy_pred"] - table["energy_ref"])
    norms = 1000 * np.linalg.norm(predicted.forces - reference.forces, axis=1)
    starts = reference.offsets[:-1]
    table["force_rmse"] = np.sqrt(np.add.reduceat(norms**2, starts) / (3 * n_atoms))
    table["force_max_error"] = np.maximum.reduceat(norms, starts)
    virials = {"ref": virial_per_atom(reference), "pred": virial_per_atom(predicted)}
    for suffix, values in virials.items():
        for column, name in zip(values.T, VOIGT, strict=True):
            table[f"virial_{name}_{suffix}"] = column
    errors = 1000 * (virials["pred"] - virials["ref"])
    table["virial_error"] = np.sqrt(errors**2 @ TENSOR_WEIGHTS)
    return table


def force_table(reference: Frames, predicted: Frames) -> pd.DataFrame:
    """Forces of every atom: frame_id, atom, Fx_ref..Fz_ref and Fx_pred..Fz_pred (eV/Å)."""
    assert reference.forces is not None
    assert predicted.forces is not None
    n_atoms = reference.n_atoms
    columns = {
        "frame_id": np.repeat(reference.frame_ids(), n_atoms),
        "atom": np.concatenate([np.arange(n) for n in n_atoms]),
    }
    for suffix, forces in (("ref", reference.forces), ("pred", predicted.forces)):
        for axis, name in enumerate(AXES):
            columns[f"{name}_{suffix}"] = forces[:, axis]
    return pd.DataFrame(columns)


def compare(reference: Frames, predicted: Frames) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables per frame and per atom of a model's errors.

    Raises
    ------
    StageError
        The model returned other frames, another order, or values that are not finite.
    """
    _check_prediction(reference, predicted)
    return frame_table(reference, predicted), force_table(reference, predicted)
