"""What the run was to reach, and whether it did."""

from __future__ import annotations

from dataclasses import dataclass

from .collect import Run

LATTICE_TOLERANCE = 0.01
"""Largest accepted relative error of the lattice constant of dnn-kd against DFT."""

MODULUS_TOLERANCE = 0.15
"""Largest accepted relative error of the bulk modulus of dnn-kd against DFT."""


NBSP = "\u00a0"
"""Keeps a number and its unit on one line."""


@dataclass(frozen=True)
class Target:
    """One aim: its name, what was wanted, what was found.

    Parameters
    ----------
    met : bool or None
        None where this run cannot tell.
    certain : bool
        False where the uncertainty of the test set is as large as the finding.
    """

    name: str
    wanted: str
    found: str
    met: bool | None
    certain: bool = True


def targets(run: Run) -> list[Target]:
    """All aims of a run, judged."""
    return [
        _distillation(run),
        _against_dft(run, "lattice constant", "a0_A", "Å", LATTICE_TOLERANCE),
        _against_dft(run, "bulk modulus", "B0_GPa", "GPa", MODULUS_TOLERANCE),
        _conservation(run),
    ]


def headline(run: Run) -> str:
    """The verdict in one sentence."""
    judged = [target for target in targets(run) if target.met is not None]
    missed = [target.name for target in judged if not target.met]
    doubtful = [target.name for target in judged if target.met and not target.certain]
    text = f"{len(judged) - len(missed)} of {len(judged)} targets met"
    if missed:
        text += f"; missed: {', '.join(missed)}"
    if doubtful:
        text += f"; not certain on this test set: {', '.join(doubtful)}"
    return text + "."


def _distillation(run: Run) -> Target:
    old, new = (run.errors["rmse"][model]["force_meV_per_A"] for model in ("dnn", "dnn-kd"))
    gain = run.errors["gain"]
    low, high = (100 * value for value in gain["interval_95"])
    # The sign of the change is certain only if the whole interval has it.
    certain = low * high > 0
    found = (
        f"{new:.1f} against {old:.1f}{NBSP}meV/Å: {100 * gain['change']:+.0f}{NBSP}% "
        f"(95{NBSP}% interval over test frames {low:+.0f} to {high:+.0f}{NBSP}%"
    )
    found += ")" if certain else "; it holds zero, so it may be chance)"
    wanted = "force RMSE of dnn-kd below that of dnn"
    return Target("distillation", wanted, found, new < old, certain)


def _against_dft(run: Run, name: str, key: str, unit: str, tolerance: float) -> Target:
    wanted = f"dnn-kd within {100 * tolerance:.0f} % of DFT"
    if "dft" not in run.properties or "dnn-kd" not in run.properties:
        return Target(name, wanted, "no DFT value in this run", None)
    found, reference = (run.properties[source][key] for source in ("dnn-kd", "dft"))
    if reference is None:
        return Target(name, wanted, f"DFT: {run.properties['dft']['problem']}", None)
    if found is None:
        return Target(name, wanted, run.properties["dnn-kd"]["problem"], False)
    error = found / reference - 1
    digits = 4 if unit == "Å" else 1
    text = f"{found:.{digits}f} against {reference:.{digits}f} {unit}: {100 * error:+.2f}{NBSP}%"
    return Target(name, wanted, text, abs(error) <= tolerance)


def _conservation(run: Run) -> Target:
    limit = run.settings.deploy.max_drift
    wanted = f"LAMMPS at constant energy: drift at most {limit:g} meV/atom/ps"
    if run.nve is None:
        return Target("energy conservation", wanted, "no LAMMPS run in this run", None)
    drift = run.nve["drift_meV_per_atom_per_ps"]
    found = "the run did not reach its end" if drift is None else f"{drift:+.3g} meV/atom/ps"
    if run.nve["reason"]:
        found += f" ({run.nve['reason']})"
    return Target("energy conservation", wanted, found, bool(run.nve["passed"]))
