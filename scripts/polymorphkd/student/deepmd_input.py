"""The DeePMD training input: one network and schedule for every student, only the data differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..settings import Deepmd

PROGRESS_LINES = 200
"""Lines of the learning curve; a checkpoint is kept at every tenth."""


def probabilities(n_dft: int, n_teacher: int, dft_probability: float) -> str:
    """Sampling of the systems: DFT systems first, then the teacher's.

    DeePMD has no weight per system in its loss; how often a frame is seen is its weight.
    Within each kind every frame is equally likely.
    """
    if not n_teacher:
        return "prob_sys_size"
    total = n_dft + n_teacher
    return (
        f"prob_sys_size;0:{n_dft}:{dft_probability};"
        f"{n_dft}:{total}:{round(1.0 - dft_probability, 10)}"
    )


def _network(settings: Deepmd, sel: Sequence[int], seed: int) -> dict[str, Any]:
    common = {
        "activation_function": settings.activation,
        "precision": settings.precision,
        "seed": seed,
    }
    return {
        "descriptor": {
            "type": "se_e2_a",
            "rcut": settings.rcut,
            "rcut_smth": settings.rcut_smooth,
            "sel": list(sel),
            "neuron": settings.embedding,
            "axis_neuron": settings.axis_neuron,
            "resnet_dt": False,
            **common,
        },
        "fitting_net": {"neuron": settings.fitting, "resnet_dt": True, **common},
    }


def _loss(settings: Deepmd, fine_tune: bool) -> dict[str, Any]:
    ends = {
        "e": settings.energy_prefactor,
        "f": settings.force_prefactor,
        "v": settings.virial_prefactor,
    }
    loss: dict[str, Any] = {"type": "ener"}
    for letter, (start, limit) in ends.items():
        loss[f"start_pref_{letter}"] = limit if fine_tune else start
        loss[f"limit_pref_{letter}"] = limit
    return loss


def training_input(
    settings: Deepmd,
    elements: Sequence[str],
    sel: Sequence[int],
    seed: int,
    systems: dict[str, list[Path]],
    dft_probability: float,
    fine_tune: bool = False,
) -> dict[str, Any]:
    """Content of ``input.json``.

    Parameters
    ----------
    settings : Deepmd
    elements : sequence of str
    sel : sequence of int
        Room for neighbours per element.
    seed : int
    systems : dict
        System folders under ``dft``, ``teacher`` (may be empty) and ``valid``.
    dft_probability : float
        Share of the steps that see DFT frames when there are teacher systems.
    fine_tune : bool
        The second run, from trained weights: its own steps and rate, the loss prefactors of
        the end all the way.
    """
    steps = settings.fine_tune_steps if fine_tune else settings.steps
    rate = settings.fine_tune_learning_rate if fine_tune else settings.learning_rate
    every = max(1, steps // PROGRESS_LINES)
    batch = f"auto:{settings.batch_atoms}"
    return {
        "model": {"type_map": list(elements), **_network(settings, sel, seed)},
        "learning_rate": {
            "type": "exp",
            "start_lr": rate,
            "stop_lr": settings.final_learning_rate,
            "decay_steps": every,
        },
        "loss": _loss(settings, fine_tune),
        "training": {
            "training_data": {
                "systems": [str(path) for path in systems["dft"] + systems["teacher"]],
                "batch_size": batch,
                "auto_prob": probabilities(
                    len(systems["dft"]), len(systems["teacher"]), dft_probability
                ),
            },
            "validation_data": {
                "systems": [str(path) for path in systems["valid"]],
                "batch_size": batch,
            },
            "numb_steps": steps,
            "seed": seed,
            "disp_file": "lcurve.out",
            "disp_freq": every,
            "save_freq": 10 * every,
            "max_ckpt_keep": 2,
        },
    }
