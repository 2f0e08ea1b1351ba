"""The input of DeePMD-kit's PyTorch backend for each family of teachers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..settings import DeepmdTorch, Dpa, MaceDeepmd, Nequip

VALIDATIONS = 50
"""Points of the learning curve, each over the whole validation set."""

CHECKPOINTS = 20
"""Checkpoints of a training, of which the last two are kept."""

_DYNAMIC = 10
"""DPA-3 counts neighbours as they are and takes a tenth of `sel` for their usual number."""

_SPARE = 1.5
"""Room of MACE and NequIP for neighbours beyond those of the training set: a denser frame
would lose the farthest of them without a word, and unused room costs next to nothing."""


def _dpa(settings: Dpa, sel: int, angle_sel: int, seed: int) -> dict[str, Any]:
    """DPA-3 as its authors recommend it (dynamic selection, compressed angles)."""
    common = {
        "activation_function": "silut:10.0",
        "precision": settings.precision,
        "seed": seed,
    }
    repflow = {
        "n_dim": settings.features,
        "e_dim": settings.features // 2,
        "a_dim": settings.features // 4,
        "nlayers": settings.layers,
        "e_rcut": settings.r_max,
        "e_rcut_smth": 0.9 * settings.r_max,
        "e_sel": _DYNAMIC * sel,
        "a_rcut": settings.angle_r_max,
        "a_rcut_smth": 0.9 * settings.angle_r_max,
        "a_sel": _DYNAMIC * angle_sel,
        "axis_neuron": 4,
        "a_compress_rate": 1,
        "a_compress_e_rate": 2,
        "a_compress_use_split": True,
        "update_angle": True,
        "smooth_edge_update": True,
        "edge_init_use_dist": True,
        "use_exp_switch": True,
        "use_dynamic_sel": True,
        "sel_reduce_factor": float(_DYNAMIC),
        "fix_stat_std": 0.3,
        "update_style": "res_residual",
        "update_residual": 0.1,
        "update_residual_init": "const",
    }
    return {
        "descriptor": {
            "type": "dpa3",
            "repflow": repflow,
            "use_tebd_bias": False,
            "concat_output_tebd": False,
            **common,
        },
        "fitting_net": {"neuron": settings.fitting, "resnet_dt": True, **common},
    }


def _mace(settings: MaceDeepmd, sel: int, force_scale: float) -> dict[str, Any]:
    irreps = [
        f"{settings.channels}x{order}{'eo'[order % 2]}" for order in range(settings.max_L + 1)
    ]
    return {
        "type": "mace",
        "sel": round(_SPARE * sel),
        "r_max": settings.r_max,
        "max_ell": settings.max_ell,
        "correlation": settings.correlation,
        "num_interactions": settings.interactions,
        "hidden_irreps": " + ".join(irreps),
        "std": force_scale,
        "precision": settings.precision,
    }


def _nequip(settings: Nequip, sel: int) -> dict[str, Any]:
    orders = range(settings.l_max + 1)
    hidden = [
        f"{settings.features}x{order}{parity}"
        for order in orders
        for parity in ("eo" if settings.parity else "eo"[order % 2])
    ]
    return {
        "type": "nequip",
        "sel": round(_SPARE * sel),
        "r_max": settings.r_max,
        "num_layers": settings.layers,
        "l_max": settings.l_max,
        "num_features": settings.features,
        "parity": settings.parity,
        "feature_irreps_hidden": " + ".join(hidden),
        "irreps_edge_sh": " + ".join(f"1x{order}{'eo'[order % 2]}" for order in orders),
        "chemical_embedding_irreps_out": f"{settings.features}x0e",
        "conv_to_output_hidden_irreps_out": f"{max(1, settings.features // 2)}x0e",
        "precision": settings.precision,
    }


def network(
    settings: DeepmdTorch, sel: int, angle_sel: int, force_scale: float, seed: int
) -> dict[str, Any]:
    """Section ``model`` without the types.

    Parameters
    ----------
    settings : Dpa, MaceDeepmd or Nequip
    sel, angle_sel : int
        Room for neighbours within ``r_max``, and within ``angle_r_max``.
    force_scale : float
        Root mean square of the force components, eV/Å: the scale of MACE's energies.
    seed : int
    """
    if isinstance(settings, Dpa):
        return _dpa(settings, sel, angle_sel, seed)
    if isinstance(settings, MaceDeepmd):
        return _mace(settings, sel, force_scale)
    assert isinstance(settings, Nequip)
    return _nequip(settings, sel)


def training_input(
    settings: DeepmdTorch,
    model: dict[str, Any],
    elements: Sequence[str],
    n_frames: int,
    systems: dict[str, list[Path]],
    seed: int,
) -> dict[str, Any]:
    """Content of ``input.json``.

    Parameters
    ----------
    settings : DeepmdTorch
    model : dict
        See :func:`network`.
    elements : sequence of str
    n_frames : int
        Training frames: the energy of each element is fitted by least squares to all of them.
    systems : dict
        Folders under ``train`` and ``valid``.
    seed : int
    """
    batch = f"auto:{settings.batch_atoms}"
    loss: dict[str, Any] = {"type": "ener"}
    for letter, (start, limit) in {
        "e": settings.energy_prefactor,
        "f": settings.force_prefactor,
        "v": settings.virial_prefactor,
    }.items():
        loss |= {f"start_pref_{letter}": start, f"limit_pref_{letter}": limit}
    every = max(1, settings.steps // VALIDATIONS)
    return {
        "model": {"type_map": list(elements), "data_stat_nbatch": n_frames, **model},
        "learning_rate": {
            "type": "exp",
            "start_lr": settings.learning_rate,
            "stop_lr": settings.final_learning_rate,
            "decay_steps": max(1, settings.steps // 200),
        },
        "loss": loss,
        "training": {
            "training_data": {
                "systems": [str(path) for path in systems["train"]],
                "batch_size": batch,
                "auto_prob": "prob_sys_size",
            },
            "validation_data": {
                "systems": [str(path) for path in systems["valid"]],
                "batch_size": batch,
            },
            "numb_steps": settings.steps,
            "gradient_max_norm": 5.0,
            "seed": seed,
            "disp_file": "lcurve.out",
            "disp_freq": every,
            "save_freq": max(1, settings.steps // CHECKPOINTS),
            "max_ckpt_keep": 2,
        },
        "validating": {
            "full_validation": True,
            "validation_freq": every,
            "full_val_start": 0.0,
            "save_best": False,
        },
    }
