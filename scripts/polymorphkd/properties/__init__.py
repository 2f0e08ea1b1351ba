"""Physical properties from any source of energies: engine, teacher or student."""

from .eos import engine_energies, equation_of_state, predictor_energies, summary

ALGORITHM_VERSION = 1
"""Raise only when numbers made before are no longer valid: it relaunches the DFT scan."""

__all__ = [
    "ALGORITHM_VERSION",
    "engine_energies",
    "equation_of_state",
    "predictor_energies",
    "summary",
]
