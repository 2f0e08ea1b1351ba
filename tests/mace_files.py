"""Teacher files without a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def untrained_mace(path: Path, symbols: Sequence[str], scaled: bool = True) -> Path:
    """Write a MACE model of random weights, as a user may bring one, that knows `symbols`.

    It is scaled and shifted, as those of mace_run_train and foundation models are, or plain.
    """
    import numpy as np
    import torch
    from ase.data import atomic_numbers
    from mace.modules import MACE, ScaleShiftMACE, interaction_classes
    from mace.modules.models import o3  # mace first: it makes e3nn loadable

    interaction = interaction_classes["RealAgnosticResidualInteractionBlock"]
    torch.manual_seed(0)
    scaling = {"atomic_inter_scale": 1.0, "atomic_inter_shift": 0.0} if scaled else {}
    model = (ScaleShiftMACE if scaled else MACE)(
        r_max=4.0,
        num_bessel=4,
        num_polynomial_cutoff=5,
        max_ell=1,
        interaction_cls=interaction,
        interaction_cls_first=interaction,
        num_interactions=1,
        num_elements=len(symbols),
        hidden_irreps=o3.Irreps("4x0e"),
        MLP_irreps=o3.Irreps("4x0e"),
        atomic_energies=np.zeros(len(symbols)),
        avg_num_neighbors=12.0,
        atomic_numbers=[atomic_numbers[symbol] for symbol in symbols],
        correlation=2,
        gate=torch.nn.functional.silu,
        **scaling,
    )
    torch.save(model, path)
    return path
