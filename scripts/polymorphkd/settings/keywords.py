"""Further keywords of DFT programs: names in one spelling, and which are refused."""

from __future__ import annotations

from typing import Any


def refused(value: dict[str, Any], fixed: str) -> dict[str, Any]:
    """Keywords in lower case, unless one is among the words of `fixed` (a ValueError)."""
    value = {name.lower(): one for name, one in value.items()}
    for name in value:
        if name.split("(")[0].strip() in fixed.split():
            raise ValueError(refusal(name))
    return value


def refusal(name: str) -> str:
    """Why a keyword is refused."""
    return (
        f"{name} cannot be set: labels are static, neutral and on the mesh of kspacing, and what "
        "has a key of its own is set there"
    )


def upper_keys(value: dict[str, Any]) -> dict[str, Any]:
    """Nested mappings with the names of sections and keywords in upper case.

    What follows the name of a section is its parameter and stays as it is (``KIND Al``).
    """
    result = {}
    for key, one in value.items():
        name, _, parameter = key.strip().partition(" ")
        full = f"{name.upper()} {parameter.strip()}".strip()
        result[full] = upper_keys(one) if isinstance(one, dict) else one
    return result


def paths(value: dict[str, Any], above: str = "") -> list[str]:
    """Path of every section and keyword, names joined by slashes and without parameters."""
    found = []
    for key, one in value.items():
        path = f"{above}/{key.split()[0]}".lstrip("/")
        found += [path, *(paths(one, path) if isinstance(one, dict) else [])]
    return found
