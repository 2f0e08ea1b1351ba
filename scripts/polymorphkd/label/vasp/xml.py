"""vasprun.xml: parsed by pymatgen, with the checks that it leaves to its users."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from pymatgen.io.vasp import Vasprun

from ...readers.chunks import reason_of
from ...readers.sources import open_bytes
from .output import RunSettings, Step, VaspOutput, ase_stress, functional_of

CLOSING = b"</modeling>"
POTENTIAL_TAGS = {"PAW_PBE": "PE", "PAW_GGA": "91", "PAW": "CA", "PAW_LDA": "CA"}
"""First word of a POTCAR title and the functional it was made for."""


def read_xml(path: Path) -> VaspOutput:
    """Steps of a vasprun.xml, plain or compressed; what is wrong is part of the answer."""
    complete = _ends_with_tag(path)
    try:
        atoms, valence, count = _atom_info(path)
    except (ElementTree.ParseError, EOFError, OSError, ValueError, zlib.error) as error:
        status = "truncated" if _starts_with_tag(path) else "rejected:file"
        return VaspOutput(path, complete=complete, problem=(status, reason_of(error)))
    unknown = [symbol for symbol in atoms if symbol not in atomic_numbers]
    if unknown:
        reason = f"{unknown[0]!r} is not a valid element"
        return VaspOutput(path, complete=complete, problem=("rejected:species", reason))
    try:
        run = _parsed(path, eigenvalues=False)
        if run.parameters.get("ISMEAR", 1) <= -4:
            run = _parsed(path, eigenvalues=True)
        settings = _settings(run, float(np.dot(valence, count)))
        whole = [raw for raw in run.ionic_steps if raw["structure"] is not None]
        if complete and not whole:
            return VaspOutput(path, settings, problem=("rejected:energy", "holds no total energy"))
        steps = [_step(raw) for raw in whole]
    except Exception as error:  # noqa: BLE001  (a parser that meets half a file raises anything)
        reason = reason_of(error)
        status = "rejected:species" if "valid Element" in reason else "rejected:file"
        if not complete:
            status = "truncated"
        return VaspOutput(path, complete=complete, problem=(status, reason))
    return VaspOutput(path, settings, steps, complete, note=_note(run, settings))


def _parsed(path: Path, eigenvalues: bool) -> Vasprun:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence, which is judged here
        return Vasprun(
            path, parse_dos=False, parse_eigen=eigenvalues, parse_projected_eigen=False,
            parse_potcar_file=False, exception_on_bad_xml=False,
        )  # fmt: skip


def _starts_with_tag(path: Path) -> bool:
    try:
        with open_bytes(path) as stream:
            return b"<modeling>" in stream.read(500)
    except (EOFError, OSError, zlib.error):
        return False


def _ends_with_tag(path: Path) -> bool:
    """Whether the closing tag is there; a tolerant parser does not miss it."""
    tail = b""
    try:
        with open_bytes(path) as stream:
            while block := stream.read(1 << 20):
                tail = (tail + block)[-200:]
    except (EOFError, OSError, zlib.error):
        return False  # the compressed file itself is cut
    return CLOSING in tail


def _atom_info(path: Path) -> tuple[list[str], list[float], list[float]]:
    """Element, valence electrons and number of atoms of every POTCAR.

    Raises
    ------
    ValueError
        The file does not tell its atoms: it is no vasprun.xml, or ends too early.
    """
    with open_bytes(path) as stream:
        for _, element in ElementTree.iterparse(stream):
            if element.tag == "array" and element.get("name") == "atomtypes":
                rows = [[cell.text or "" for cell in row] for row in element.iter("rc")]
                symbols = [row[1].strip() for row in rows]
                return symbols, [float(row[3]) for row in rows], [float(row[0]) for row in rows]
    raise ValueError("no atoms in it; expected a vasprun.xml")


def _settings(run: Vasprun, neutral: float) -> RunSettings:
    parameters, incar = run.parameters, run.incar
    titles = [str(title) for title in run.potcar_symbols]
    first = titles[0].split()[0] if titles else ""
    extra = {
        **{name: parameters.get(name) for name in ("LHFCALC", "AEXX", "HFSCREEN", "LUSE_VDW")},
        "IVDW": incar.get("IVDW", 0),
        "dispersion": any(_dispersion(raw) for raw in run.ionic_steps[:1]),
    }
    ismear = int(parameters.get("ISMEAR", 1))
    return RunSettings(
        version=run.vasp_version,
        functional=functional_of(
            str(parameters.get("GGA") or ""), str(incar.get("METAGGA") or ""),
            POTENTIAL_TAGS.get(first, first), extra,
        ),
        encut=float(parameters.get("ENMAX") or parameters.get("ENCUT") or np.nan),
        ismear=ismear,
        sigma=float(parameters.get("SIGMA", np.nan)),
        ispin=int(parameters.get("ISPIN", 1)),
        nelm=int(parameters["NELM"]),
        ediff=float(parameters["EDIFF"]),
        charge=neutral - float(parameters.get("NELECT", np.nan)),
        potentials={title.split()[1].split("_")[0]: title for title in titles},
        hubbard=_hubbard(run),
        kspacing=incar.get("KSPACING"),
        metal=bool(np.min(run.eigenvalue_band_properties[0]) < 1e-4) if ismear <= -4 else None,
        mesh=_mesh(run),
    )  # fmt: skip


def _mesh(run: Vasprun) -> tuple[int, int, int] | None:
    style = run.kpoints.style.name if run.kpoints is not None else ""
    if style not in ("Gamma", "Monkhorst"):
        return None
    a, b, c = (int(n) for n in run.kpoints.kpts[0])
    return a, b, c


def _dispersion(raw: Mapping[str, Any]) -> bool:
    """Whether energy is added after the electronic steps; the tags do not always tell."""
    electronic = raw["electronic_steps"]
    if not electronic or not raw.get("e_fr_energy"):
        return False
    return abs(float(raw["e_fr_energy"]) - float(electronic[-1]["e_fr_energy"])) > 1e-4


def _hubbard(run: Vasprun) -> dict[str, float]:
    if not run.is_hubbard:
        return {}
    return {symbol: float(u) for symbol, u in run.hubbards.items() if u}


def _step(raw: Mapping[str, Any]) -> Step:
    structure = raw["structure"]
    atoms = Atoms(
        numbers=[site.specie.Z for site in structure],
        positions=structure.cart_coords,
        cell=structure.lattice.matrix,
        pbc=True,
    )
    electronic = [one for one in raw["electronic_steps"] if "e_fr_energy" in one]
    energies = [float(one["e_fr_energy"]) for one in electronic]
    change = abs(energies[-1] - energies[-2]) if len(energies) > 1 else None
    forces, stress = raw.get("forces"), raw.get("stress")
    energy, zero, entropy = _energies(raw, electronic)
    return Step(
        atoms, len(raw["electronic_steps"]), change, energy, zero, entropy,
        None if forces is None else np.asarray(forces, dtype=float),
        None if stress is None else ase_stress(stress),
    )  # fmt: skip


def _energies(
    raw: Mapping[str, Any], electronic: list[Mapping[str, Any]]
) -> tuple[float | None, float | None, float | None]:
    """Free energy, energy(sigma->0) and T*S, eV.

    The ionic step's own free energy holds what is added after the electronic steps, such as
    dispersion; its other energies are about zero in VASP 5, so that those come from the
    last electronic step.
    """
    if not electronic:
        return None, None, None
    last = electronic[-1]
    free = float(last["e_fr_energy"])
    total = float(raw.get("e_fr_energy") or free)
    zero, without = last.get("e_0_energy"), last.get("e_wo_entrp")
    return (
        total,
        None if zero is None else total + float(zero) - free,
        None if without is None else float(without) - free,
    )


def _note(run: Vasprun, settings: RunSettings) -> str:
    notes = []
    asked = run.incar.get("ENCUT")
    if asked is not None and abs(float(asked) - settings.encut) > 1e-3:
        notes.append(f"INCAR asks for ENCUT {asked:g} eV, but {settings.encut:g} eV was used")
    if settings.metal and settings.ismear <= -4:
        notes.append("tetrahedron method in a metal: forces and stress are only approximate")
    steps = run.parameters.get("NSW", 0)
    if run.parameters.get("IBRION") == 0 and len(run.ionic_steps) < steps:
        notes.append(f"{len(run.ionic_steps)} of {steps} MD steps")
    return "; ".join(notes)
