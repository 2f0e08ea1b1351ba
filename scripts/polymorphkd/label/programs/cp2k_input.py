"""Input of CP2K as nested mappings, and its text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import kB

from ...settings import Cp2k

FUNCTIONALS: dict[str, dict[str, Any]] = {
    "LDA": {"XC_FUNCTIONAL PADE": {}},
    "PBE": {"XC_FUNCTIONAL PBE": {}},
    "PBEsol": {"XC_FUNCTIONAL": {"PBE": {"PARAMETRIZATION": "PBESOL"}}},
    "revPBE": {"XC_FUNCTIONAL": {"PBE": {"PARAMETRIZATION": "REVPBE"}}},
    "BLYP": {"XC_FUNCTIONAL BLYP": {}},
}


def sections(settings: Cp2k, atoms: Atoms, sizes: tuple[int, int, int]) -> dict[str, Any]:
    """Input of a static run with what the settings add.

    Parameters
    ----------
    settings : Cp2k
    atoms : Atoms
        Periodic along all directions.
    sizes : tuple of int
        K-points along each direction.

    Returns
    -------
    dict
        Sections are mappings (their parameter follows the name), keywords their values;
        a list repeats a keyword.
    """
    dft: dict[str, Any] = {
        "BASIS_SET_FILE_NAME": list(settings.basis_files),
        "POTENTIAL_FILE_NAME": settings.potential_file,
        "MGRID": {
            "CUTOFF": f"[eV] {settings.cutoff:.12g}",
            "REL_CUTOFF": f"[eV] {settings.relative_cutoff:.12g}",
        },
        "QS": {"EPS_DEFAULT": "1.0E-12"},
        "SCF": _scf(settings),
        "XC": FUNCTIONALS[settings.functional] if settings.functional else {},
    }
    if settings.moments:
        dft["UKS"] = "T"
    if sizes != (1, 1, 1):
        dft["KPOINTS"] = {"SCHEME": "GENERAL", "UNITS": "B_VECTOR", "KPOINT": _kpoints(sizes)}
    own = {
        "GLOBAL": {"PROJECT": "label", "RUN_TYPE": "ENERGY_FORCE", "PRINT_LEVEL": "MEDIUM"},
        "FORCE_EVAL": {
            "METHOD": "QUICKSTEP",
            "STRESS_TENSOR": "ANALYTICAL",
            "PRINT": {"FORCES": {"NDIGITS": 12}, "STRESS_TENSOR": {}},
            "DFT": dft,
            "SUBSYS": _subsystem(settings, atoms),
        },
    }
    return merged(own, settings.keywords)


def _scf(settings: Cp2k) -> dict[str, Any]:
    """Diagonalisation with all bands that the basis has: safe for metals and insulators."""
    return {
        "SCF_GUESS": "ATOMIC",
        "EPS_SCF": f"{settings.scf_tolerance:g}",
        "MAX_SCF": settings.max_scf_steps,
        "ADDED_MOS": "-1 -1" if settings.moments else "-1",
        "DIAGONALIZATION": {},
        "MIXING": {"METHOD": "BROYDEN_MIXING", "ALPHA": 0.2, "NBROYDEN": 8},
        "SMEAR": {
            "METHOD": "FERMI_DIRAC",
            "ELECTRONIC_TEMPERATURE": f"[K] {settings.width / kB:.12g}",
        },
        "PRINT": {"RESTART OFF": {}},
    }


def _kpoints(sizes: tuple[int, int, int]) -> list[str]:
    """Gamma-centred mesh; of k and -k, which time reversal makes equal, one with twice the weight.

    The schemes of CP2K are not centred on Gamma for even numbers.
    """
    lines = []
    for point in np.ndindex(*sizes):
        mirror = tuple(-i % n for i, n in zip(point, sizes, strict=True))
        if mirror < point:
            continue
        fractions = " ".join(f"{i / n:.14f}" for i, n in zip(point, sizes, strict=True))
        lines.append(f"{fractions} {1 if mirror == point else 2}")
    return lines


def _subsystem(settings: Cp2k, atoms: Atoms) -> dict[str, Any]:
    cell = {
        name: "[angstrom] " + " ".join(f"{x:.14f}" for x in vector)
        for name, vector in zip("ABC", atoms.cell.array, strict=True)
    }
    coordinates = [
        f"{symbol} " + " ".join(f"{x:.14f}" for x in position)
        for symbol, position in zip(atoms.get_chemical_symbols(), atoms.positions, strict=True)
    ]
    kinds = {}
    for symbol in sorted(set(atoms.get_chemical_symbols())):
        kind = settings.kinds[symbol]
        kinds[f"KIND {symbol}"] = {"BASIS_SET": kind.basis, "POTENTIAL": kind.potential}
        if symbol in settings.moments:
            kinds[f"KIND {symbol}"]["MAGNETIZATION"] = f"{settings.moments[symbol]:g}"
    return {
        "CELL": {**cell, "PERIODIC": "XYZ"},
        "COORD": {"UNIT": "angstrom", "": coordinates},
        **kinds,
    }


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings in one; those of `above` win, section by section."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = merged(old, value)
        result[key] = value
    return result


def written(content: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """Lines of the input."""
    indent = "  " * depth
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield f"{indent}&{key}"
            yield from written(value, depth + 1)
            yield f"{indent}&END {key.split()[0]}"
            continue
        for one in value if isinstance(value, list) else [value]:
            text = ("T" if one else "F") if isinstance(one, bool) else one
            yield f"{indent}{key} {text}".rstrip()
