"""Named input sets of pymatgen, as far as labels take them over.

pymatgen is imported on use: it costs seconds, which a run without a named set never pays.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from pymatgen.io.vasp.sets import VaspInputSet

NamedSet = Literal["MPStaticSet", "MatPESStaticSet", "MPScanStaticSet", "MP24StaticSet"]
"""Sets for static runs: Materials Project (PBE and PBE + U), MatPES, and two for r2SCAN."""

FUNCTIONALS = {"PE": "PBE", "PS": "PBEsol", "R2SCAN": "r2SCAN", "SCAN": "SCAN"}
SMEARINGS = {0: "gaussian", -1: "fermi-dirac", 1: "methfessel-paxton"}


def named_set(
    name: str, elements: Sequence[str], functional: str | None, incar: Mapping[str, Any]
) -> VaspInputSet:
    """A named set for a compound with one atom of each element.

    Parameters
    ----------
    name : str
        Of `NamedSet`.
    elements : sequence of str
    functional : str or None
        Of label.vasp.functional; a set that is made for several takes it over.
    incar : mapping
        Tags of the user, which may switch off parts of the set such as LDAU.
    """
    from pymatgen.core import Lattice, Structure
    from pymatgen.io.vasp import sets

    spots = [[i / len(elements), 0.0, 0.0] for i in range(len(elements))]
    structure = Structure(Lattice.cubic(4.0 * len(elements)), list(elements), spots)
    more: dict[str, Any] = {}
    if name == "MatPESStaticSet" and functional == "r2SCAN":
        more["xc_functional"] = "R2SCAN"
    user = {key: value for key, value in incar.items() if key != "MAGMOM"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of spin states of Co, and of potentials not read here
        return getattr(sets, name)(
            structure, sort_structure=False, user_incar_settings=user, **more
        )


def tags_of(made: VaspInputSet) -> dict[str, Any]:
    """INCAR of a set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(made.incar)


def set_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of label.vasp that a named set gives to the keys that the user left out.

    The tetrahedron method of some sets is not taken over: it gives wrong forces in metals and
    needs more k-points than large cells have.

    Parameters
    ----------
    values : mapping
        label.vasp as the user gave it.
    """
    keys = {"functional", "encut", "kspacing", "smearing", "width", "max_scf_steps"}
    name = values.get("input_set")
    if name not in get_args(NamedSet) or keys | {"potential_set"} <= set(values):
        return {}
    made = named_set(str(name), ["H"], values.get("functional"), {})
    tags = tags_of(made)
    functional = str(tags.get("METAGGA") or tags.get("GGA") or "PE").upper()
    found = {
        "functional": FUNCTIONALS[functional],
        "encut": float(tags["ENCUT"]),
        "max_scf_steps": int(tags["NELM"]),
        "potential_set": str(made.user_potcar_functional),
    }
    if tags["ISMEAR"] in SMEARINGS:
        found |= {"smearing": SMEARINGS[tags["ISMEAR"]], "width": float(tags["SIGMA"])}
    if "KSPACING" in tags:
        found["kspacing"] = float(tags["KSPACING"])
    elif density := getattr(made, "reciprocal_density", None):
        # k-points per 1/Å^3 of the reciprocal cell.
        found["kspacing"] = round(float(density) ** (-1 / 3), 4)
    return {key: value for key, value in found.items() if key not in values}


def set_potentials(name: str, elements: Sequence[str]) -> dict[str, str]:
    """POTCAR of every element, as far as the set names them."""
    known = getattr(named_set(name, ["H"], None, {}), "CONFIG")["POTCAR"]  # noqa: B009
    found = {element: known[element] for element in elements if element in known}
    return {
        element: one["symbol"] if isinstance(one, dict) else one for element, one in found.items()
    }


def with_set_potentials(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a material whose label.vasp.potentials has those of the named set too."""
    values = dict(values)
    label, elements = values.get("label"), values.get("elements")
    vasp = label.get("vasp") if isinstance(label, Mapping) else None
    if not isinstance(label, Mapping) or not isinstance(vasp, Mapping):
        return values
    name = vasp.get("input_set")
    if name not in get_args(NamedSet) or not isinstance(elements, list):
        return values
    given = vasp.get("potentials") or {}
    if isinstance(given, Mapping) and not set(elements) <= set(given):
        missing = [element for element in elements if element not in given]
        filled = {**vasp, "potentials": {**set_potentials(str(name), missing), **given}}
        values["label"] = {**label, "vasp": filled}
    return values
