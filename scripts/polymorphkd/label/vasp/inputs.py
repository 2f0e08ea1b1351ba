"""Inputs of one static VASP run, written by pymatgen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from pymatgen.core import SETTINGS, Lattice, Structure
from pymatgen.io.vasp import Incar, Kpoints, Poscar, PotcarSingle

from ...provenance import digest
from ...settings import Vasp
from ...settings.vasp_sets import named_set, tags_of
from ..mesh import mesh

VARIABLE = "PMG_VASP_PSP_DIR"
"""Environment variable (or key of ~/.pmgrc.yaml) that tells pymatgen where the POTCARs are."""

FUNCTIONAL_TAGS: dict[str, dict[str, Any]] = {
    "PBE": {"GGA": "PE"},
    "PBEsol": {"GGA": "PS"},
    "revPBE": {"GGA": "RE"},
    "RPBE": {"GGA": "RP"},
    "r2SCAN": {"METAGGA": "R2SCAN", "LMIXTAU": True},
    "SCAN": {"METAGGA": "SCAN", "LMIXTAU": True},
}
ISMEAR = {"gaussian": 0, "fermi-dirac": -1, "methfessel-paxton": 1}


PER_ELEMENT = ("MAGMOM", "LDAUU", "LDAUL", "LDAUJ")
"""Tags of a set that VASP wants as lists: the first per atom, the others per element."""

NOT_TAKEN = {
    *("GGA", "METAGGA", "KSPACING", "ICHARG", "NUPDOWN"),
    *("LAECHG", "LELF", "LVTOT", "LVHAR", "LORBIT", "EDIFFG"),
}
"""Tags of a set that keys of the settings decide, or that only write more files."""


def base_tags(settings: Vasp) -> dict[str, Any]:
    """Tags of the named set and moments; those of `PER_ELEMENT` as mappings from elements.

    They are made once for a compound of all elements that have a potential.  Asked frame by
    frame, a set would give Fe a U in the oxide and none in the metal, and the labels of both
    could not meet.
    """
    elements = sorted(settings.potentials)
    if settings.input_set is None or not elements:
        return _with_spin({}, settings.moments, elements)
    made = named_set(settings.input_set, elements, settings.functional, settings.incar)
    tags = {key: value for key, value in tags_of(made).items() if key not in NOT_TAKEN}
    for name in PER_ELEMENT:
        if name in tags:
            tags[name] = dict(zip(elements, tags[name], strict=True))
    return _with_spin(tags, settings.moments, elements)


def _with_spin(
    tags: dict[str, Any], moments: dict[str, float], elements: Sequence[str]
) -> dict[str, Any]:
    """Tags with the user's moments; elements without one have that of the set, or none."""
    if not moments:
        return tags
    known = {**tags.get("MAGMOM", {}), **moments}
    return {**tags, "ISPIN": 2, "MAGMOM": {one: known.get(one, 0.0) for one in elements}}


def incar(settings: Vasp, symbols: Sequence[str] = ()) -> Incar:
    """Tags of a static run; symmetry is off, because distorted cells have none to exploit.

    Parameters
    ----------
    settings : Vasp
    symbols : sequence of str
        Element of every atom in the order of the POSCAR; without them the tags of
        `PER_ELEMENT` are left out.
    """
    base = base_tags(settings)
    for name in PER_ELEMENT:
        of_elements = base.pop(name, None)
        if symbols and of_elements is not None:
            wanted = symbols if name == "MAGMOM" else dict.fromkeys(symbols)
            base[name] = [of_elements[symbol] for symbol in wanted]
    tags = {
        "SYSTEM": "label",
        "PREC": "Accurate",
        "ALGO": "Normal",
        **base,
        **FUNCTIONAL_TAGS[settings.functional],
        "ENCUT": settings.encut,
        "EDIFF": settings.ediff,
        "NELM": settings.max_scf_steps,
        "ISMEAR": ISMEAR[settings.smearing],
        "SIGMA": settings.width,
        "ISYM": 0,
        "LASPH": True,
        "LREAL": False,
        "NSW": 0,
        "IBRION": -1,
        "ISIF": 2,
        "LWAVE": False,
        "LCHARG": False,
        **settings.incar,
    }
    return Incar(tags)


def decisive(settings: Vasp) -> dict[str, Any]:
    """All tags that decide a label, for the settings hash; those of elements as mappings."""
    base = base_tags(settings)
    of_elements = {name: base[name] for name in PER_ELEMENT if name in base}
    return dict(sorted({**of_elements, **incar(settings)}.items()))


@cache
def potential(functional: str, symbol: str) -> PotcarSingle:
    """One POTCAR; raises FileNotFoundError or ValueError as pymatgen does."""
    return PotcarSingle.from_symbol_and_functional(symbol, functional)


def potential_problem(settings: Vasp, elements: Sequence[str]) -> str | None:
    """Which potential is absent and what to do about it, or None."""
    folder = SETTINGS.get(VARIABLE)
    if not folder:
        return (
            f"no POTCARs: set the environment variable {VARIABLE} to the folder that holds the "
            "potentials of your VASP licence, as `pmg config -p` lays them out"
        )
    if not Path(folder).expanduser().is_dir():
        return f"no POTCARs: {VARIABLE} is {folder}, which is no folder"
    if settings.potential_set not in PotcarSingle.functional_dir:
        allowed = ", ".join(PotcarSingle.functional_dir)
        return f"label.vasp.potential_set: {settings.potential_set}: allowed is {allowed}"
    for element in elements:
        if element not in settings.potentials:
            return (
                f"label.vasp.potentials: names no POTCAR for {element}; "
                f"for example potentials: {{{element}: {element}}}"
            )
    for symbol in settings.potentials.values():
        try:
            potential(settings.potential_set, symbol)
        except (OSError, ValueError, KeyError) as error:
            return f"label.vasp.potentials: {symbol}: {' '.join(str(error).split())}"
    return None


def potential_digests(settings: Vasp) -> dict[str, str]:
    """Title and digest of the POTCAR of every element that the settings name."""
    found = {name: potential(settings.potential_set, s) for name, s in settings.potentials.items()}
    return {name: f"{one.TITEL} {digest(one.data)}" for name, one in sorted(found.items())}


def write_inputs(
    folder: Path, atoms: Atoms, settings: Vasp, mesh_cell: np.ndarray | None = None
) -> np.ndarray:
    """Write INCAR, KPOINTS, POSCAR and POTCAR.

    Parameters
    ----------
    folder : Path
    atoms : Atoms
        Periodic along all directions.
    settings : Vasp
    mesh_cell : ndarray, shape (3, 3), Å, optional
        Cell that decides the k-point mesh.

    Returns
    -------
    ndarray, shape (n_atoms,), int
        Atom of `atoms` that stands at each place of the POSCAR, which is sorted by element.

    Raises
    ------
    KeyError
        The settings name no POTCAR for an element.
    """
    order = write_poscar(folder, atoms)
    symbols = np.array(atoms.get_chemical_symbols())
    incar(settings, symbols[order].tolist()).write_file(folder / "INCAR")
    sizes = mesh(
        atoms.cell.array if mesh_cell is None else mesh_cell, atoms.pbc, settings.kspacing
    )
    Kpoints.gamma_automatic(sizes).write_file(folder / "KPOINTS")
    kinds = sorted(set(symbols.tolist()))
    (folder / "POTCAR").write_text(potentials_text(settings, kinds))
    return order


def write_poscar(folder: Path, atoms: Atoms) -> np.ndarray:
    """Write POSCAR, sorted by element; returns the atom that stands at each of its places."""
    symbols = np.array(atoms.get_chemical_symbols())
    kinds = sorted(set(symbols.tolist()))
    order = np.concatenate([np.flatnonzero(symbols == kind) for kind in kinds])
    cell = atoms.cell.array.copy()
    if np.linalg.det(cell) < 0:
        cell[2] *= -1  # the same lattice, and right-handed as VASP wants it
    structure = Structure(
        Lattice(cell), symbols[order].tolist(), atoms.positions[order], coords_are_cartesian=True
    )
    Poscar(structure, sort_structure=False).write_file(folder / "POSCAR", significant_figures=16)
    return order


def potentials_text(settings: Vasp, kinds: Sequence[str]) -> str:
    """POTCAR of some elements, one after the other."""
    return "".join(
        potential(settings.potential_set, settings.potentials[kind]).data for kind in kinds
    )
