"""What one VASP output holds, and which of its steps deserve to be labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import GPa

from ...provenance import digest

LOWEST_ENCUT = 150.0
"""Plane-wave cutoffs below this (eV) are toys: no PAW potential of VASP asks for so little."""

COARSE_METAL = 0.22
"""Spacing (1/Å) above which KSPACING is meant for insulators, as in pymatgen's input sets."""

CHARGED = 1e-3
"""Electrons that a neutral cell may have too many or too few."""

FUNCTIONALS = {
    "PE": "PBE", "RE": "revPBE", "RP": "RPBE", "PS": "PBEsol", "91": "PW91", "CA": "LDA",
    "AM": "AM05",
}  # fmt: skip
"""GGA tags of VASP and what they are called elsewhere."""


@dataclass(frozen=True)
class RunSettings:
    """What decides the numbers of a run, as its output tells it.

    Parameters
    ----------
    version : str
        Program, such as ``6.4.2``.
    functional : str
        With what belongs to it: hybrid, van der Waals.
    encut, sigma, ediff : float, eV
    ismear, ispin, nelm : int
    charge : float
        Electrons that are missing for a neutral cell; NaN where the output does not tell.
    potentials : mapping
        Title of the POTCAR of each element.
    hubbard : mapping
        U - J (eV) of each element that has one.
    kspacing : float, 1/Å, optional
        Where the mesh was made by the tag KSPACING.
    metal : bool, optional
        Whether there is no band gap; None where it is not known.
    mesh : tuple of three int, optional
        Points of the k-mesh; None where they form none or the output does not tell.
    """

    version: str
    functional: str
    encut: float
    ismear: int
    sigma: float
    ispin: int
    nelm: int
    ediff: float
    charge: float = np.nan
    potentials: Mapping[str, str] = field(default_factory=dict)
    hubbard: Mapping[str, float] = field(default_factory=dict)
    kspacing: float | None = None
    metal: bool | None = None
    mesh: tuple[int, int, int] | None = None

    def common(self) -> dict[str, Any]:
        """What must be equal in all frames of one set, whatever their elements."""
        return {
            "program": f"VASP {self.version.split('.')[0]}",
            "functional": self.functional + (" + U" if self.hubbard else ""),
            "ENCUT": round(self.encut, 3),
            "ISMEAR": self.ismear,
            # The tetrahedron method has no width.
            "SIGMA": 0.0 if self.ismear <= -4 else round(self.sigma, 6),
            "ISPIN": self.ispin,
        }

    def of_elements(self) -> dict[str, str]:
        """What must be equal wherever an element occurs: its POTCAR and its U."""
        return {
            symbol: title + (f", U {self.hubbard[symbol]:g} eV" if symbol in self.hubbard else "")
            for symbol, title in sorted(self.potentials.items())
        }

    @property
    def settings_hash(self) -> str:
        """Digest of what must be equal in all frames of one set."""
        return digest(self.common())


@dataclass(frozen=True)
class Step:
    """One ionic step.

    Parameters
    ----------
    atoms : Atoms
        Structure alone.
    n_scf : int
        Electronic steps.
    last_change : float or None
        Of the energy between the last two of them, eV; None where it is not printed.
    energy, energy_zero, entropy : float or None
        Free energy, energy(sigma->0) and T*S, eV.
    forces : ndarray, shape (n_atoms, 3), eV/Å, or None
    stress : ndarray, shape (6,), eV/Å^3, or None
        ASE sign and Voigt order; a stress that was not computed is None.
    """

    atoms: Atoms
    n_scf: int
    last_change: float | None
    energy: float | None
    energy_zero: float | None
    entropy: float | None
    forces: np.ndarray | None
    stress: np.ndarray | None


@dataclass(frozen=True)
class VaspOutput:
    """Whole steps of one output file.

    Parameters
    ----------
    path : Path
    settings : RunSettings or None
        None where the file ends before it tells them.
    steps : list of Step
    complete : bool
        Whether the program wrote its last line; says nothing about convergence.
    stopped : bool
        Whether a user asked the program to stop.
    problem : tuple of str or None
        Status and reason that every frame of the file has.
    note : str
        What is odd but no reason to reject a frame.
    """

    path: Path
    settings: RunSettings | None = None
    steps: list[Step] = field(default_factory=list)
    complete: bool = True
    stopped: bool = False
    problem: tuple[str, str] | None = None
    note: str = ""


def functional_of(gga: str, metagga: str, potential: str, extra: Mapping[str, Any]) -> str:
    """Name of the functional.

    Parameters
    ----------
    gga, metagga : str
        Tags; empty or ``--`` where they are not set, and then the potential decides.
    potential : str
        Tag that the POTCAR was made with.
    extra : mapping
        LHFCALC, AEXX, HFSCREEN, LUSE_VDW, IVDW and whether there is a dispersion correction,
        those that the output tells.
    """
    unset = ("", "--", "F", "NONE")
    if metagga.upper() not in unset:
        name = metagga.upper().replace("R2SCAN", "r2SCAN")
    else:
        tag = gga.upper() if gga.upper() not in unset else potential.upper()
        name = FUNCTIONALS.get(tag, tag)
    if extra.get("LHFCALC"):
        mixing = f"{extra.get('AEXX') or 0:g} exchange, screening {extra.get('HFSCREEN') or 0:g}"
        name += f" hybrid ({mixing})"
    if extra.get("LUSE_VDW"):
        name += " + vdW-DF"
    if extra.get("IVDW"):
        name += f" + IVDW {extra['IVDW']}"
    elif extra.get("dispersion"):
        name += " + dispersion"
    return name


def ase_stress(kilobar: Any) -> np.ndarray:
    """Stress in eV/Å^3 and Voigt order xx yy zz yz xz xy from VASP's matrix in kB.

    VASP counts compression as positive, ASE tension.
    """
    matrix = np.asarray(kilobar, dtype=float)
    voigt = matrix[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    return -0.1 * GPa * voigt


def judge(output: VaspOutput, step: Step) -> tuple[str, str]:
    """Status and reason of one step.

    That the program says "EDIFF is reached" proves nothing: it says so at the last allowed
    step and after a stop as well.  A step counts as converged when it needed fewer electronic
    steps than allowed and the energy changed by no more than EDIFF in the last of them.
    """
    settings = output.settings
    if output.problem is not None:
        return output.problem
    if settings is None:
        return "truncated", "the output ends before its settings"
    if step.energy is None:
        return "rejected:energy", "holds no total energy"
    change = step.last_change
    changed = "" if change is None else f", last energy change {change:.2g} eV"
    # Energies are printed with 8 decimals.
    unproven = step.n_scf < 2 if change is None else change > 1.01 * settings.ediff + 1e-8
    if step.n_scf >= settings.nelm or unproven:
        stopped = "stopped by the user; " if output.stopped else ""
        return "unconverged", (
            f"{stopped}{step.n_scf} of at most {settings.nelm} electronic steps{changed} "
            f"(EDIFF {settings.ediff:g})"
        )
    if step.forces is None:
        return "rejected:forces", "holds no forces"
    labels = [
        step.forces,
        np.array(step.energy),
        np.zeros(6) if step.stress is None else step.stress,
    ]
    if not all(np.isfinite(one).all() for one in labels):
        return "rejected:finite", "a label is no finite number"
    return objection(settings) or ("ok", "")


def objection(settings: RunSettings) -> tuple[str, str] | None:
    """Status and reason that the settings of a run give to all of its frames, or None."""
    if abs(settings.charge) > CHARGED:
        return "rejected:charge", f"the cell is charged, {settings.charge:+.3g} e"
    if settings.encut < LOWEST_ENCUT:
        return "rejected:encut", (
            f"ENCUT {settings.encut:g} eV, below {LOWEST_ENCUT:g} eV, is too low for any label"
        )
    if settings.metal and settings.ismear <= -4 and (settings.kspacing or 0) > COARSE_METAL:
        return "rejected:setup", (
            f"a metal with the tetrahedron method (ISMEAR {settings.ismear}), whose forces are "
            f"wrong, and a mesh for insulators (KSPACING {settings.kspacing:g})"
        )
    return None


def describe(settings: RunSettings) -> str:
    """Settings on one line."""
    values = {**settings.common(), **settings.of_elements()}
    return ", ".join(f"{name} {value}" for name, value in values.items())
