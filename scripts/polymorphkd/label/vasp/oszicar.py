"""OSZICAR: energies of a run without its structures, enough to say what went wrong."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pymatgen.io.vasp import Oszicar

from ...readers.chunks import reason_of

LOOSEST_EDIFF = 1e-4
"""Default of EDIFF (eV): no run whose energy still changed by more is converged."""


@dataclass(frozen=True)
class Verdict:
    """One ionic step: status and reason, energies (eV), electronic steps."""

    status: str
    reason: str
    energy: float | None = None
    energy_zero: float | None = None
    n_scf: int | None = None


def read_oszicar(path: Path) -> Iterator[Verdict]:
    """Verdict on every ionic step; none is ``ok``, because structure and forces are missing.

    NELM and EDIFF are not in the file.  A step counts as unconverged where its last electronic
    step still changed the energy by more than the default of EDIFF.
    """
    try:
        run = Oszicar(path)
    except (EOFError, OSError, ValueError, IndexError, zlib.error) as error:
        yield Verdict("rejected:file", f"not readable as OSZICAR: {reason_of(error)}")
        return
    pairs = list(zip(run.electronic_steps, run.ionic_steps, strict=False))
    yield from (_judged(electronic, ionic) for electronic, ionic in pairs)
    rest = run.electronic_steps[len(pairs) :]
    if rest:
        reason = f"the file ends in electronic step {len(rest[0])} of ionic step {len(pairs) + 1}"
        yield Verdict("truncated", reason)
    elif not pairs:
        yield Verdict("rejected:file", "holds no step of an OSZICAR")


def _judged(electronic: list[dict], ionic: dict) -> Verdict:
    free, zero, n = float(ionic["F"]), float(ionic["E0"]), len(electronic)
    try:
        change = abs(float(electronic[-1]["dE"]))
    except (IndexError, KeyError, ValueError):  # stars, where a number was too long
        change = float("inf")
    if change > LOOSEST_EDIFF:
        status = "unconverged"
        reason = (
            f"{n} electronic steps, last energy change {change:.2g} eV (EDIFF is at most "
            f"{LOOSEST_EDIFF:g} eV)"
        )
    elif zero > 0:
        status = "rejected:energy"
        reason = f"positive total energy, {zero:+.2f} eV: a bad structure or starting density"
    else:
        status = "rejected:forces"
        reason = "an OSZICAR holds energies alone; give the OUTCAR or vasprun.xml of the run"
    return Verdict(status, reason, free, zero, n)
