"""What an engine returns for one frame, and which outcomes a rerun must not repeat."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms

OUTCOMES = ("ok", "unconverged", "crashed", "timeout", "truncated", "missing")
"""Statuses of a frame; beside them there is ``rejected:<gate>``."""

INFRASTRUCTURE = ("timeout", "truncated", "missing")
"""Outcomes that say nothing about the frame: the next run may well succeed."""

ZERO_WIDTH = {"gaussian": 1 / 2, "fermi-dirac": 1 / 2, "methfessel-paxton": 1 / 3}
"""E(width -> 0) is F plus this share of T*S, to the lowest order in the width (first-order
Methfessel-Paxton; F itself is as good with Marzari-Vanderbilt)."""


@dataclass(frozen=True)
class Result:
    """Outcome of one calculation.

    Parameters
    ----------
    status : str
        ``ok``, ``unconverged`` (the SCF cycle did not converge), ``crashed``, ``timeout``,
        ``truncated`` (the output ends too early) or ``rejected:<gate>``.
    reason : str
        Empty for ``ok``, else one line from the engine.
    seconds : float
        Wall time of the calculation, s.
    energy : float, optional
        Total energy, eV, consistent with the forces (the free energy where electrons are
        smeared).
    forces : ndarray, shape (n_atoms, 3), optional, eV/Å
    stress : ndarray, shape (6,), optional, eV/Å^3
        ASE sign and Voigt order.
    scf_steps : int, optional
    infrastructure : bool, optional
        Whether machines failed and not the frame, so that a rerun tries again.  By default
        the status decides, and a crash is the frame's own.
    energy_zero : float, optional
        Total energy extrapolated to no smearing, eV.
    entropy : float, optional
        Electronic entropy times temperature, eV per cell, not negative.
    """

    status: str
    reason: str
    seconds: float
    energy: float | None = None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None
    scf_steps: int | None = None
    infrastructure: bool | None = None
    energy_zero: float | None = None
    entropy: float | None = None

    @property
    def retry(self) -> bool:
        """Whether a rerun tries this frame again."""
        if self.infrastructure is not None:
            return self.infrastructure
        return self.status in INFRASTRUCTURE


def open_boundary(atoms: Atoms) -> Result | None:
    """Result for a frame that no engine labels: without a periodic cell it has no stress."""
    if atoms.pbc.all():
        return None
    reason = "labels have a stress, which needs three periodic directions"
    return Result("rejected:pbc", f"{reason} (give a slab or cluster vacuum and pbc)", 0.0)


def crashed(error: BaseException, started: float) -> Result:
    """Result for an engine that raised `error`; `started` is of :func:`time.monotonic`.

    Memory and files that gave out are no fault of the frame.
    """
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    machine = isinstance(error, MemoryError | OSError)
    return Result("crashed", reason, time.monotonic() - started, infrastructure=machine)


def as_record(result: Result) -> dict[str, Any]:
    """A result as JSON-ready values, without what is not finite beside the labels."""
    record = asdict(result) | {"infrastructure": result.retry}
    for key in ("forces", "stress"):
        if record[key] is not None:
            record[key] = np.asarray(record[key]).tolist()
    for key in ("energy_zero", "entropy"):
        if record[key] is not None and not np.isfinite(record[key]):
            record[key] = None
    return record


def is_final(record: Mapping[str, Any]) -> bool:
    """Whether a rerun must keep a stored record.

    Records of versions that did not yet tell whose fault a crash was are tried again.
    """
    retry = record.get("infrastructure")
    if retry is None:
        return record.get("status") in ("ok", "unconverged")
    return "status" in record and not retry
