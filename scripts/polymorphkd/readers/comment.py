"""Comment line of an extended XYZ frame: what it says of cell, columns, labels, metadata.

The common forms of a value are read here; whatever is not surely one of them goes to ASE,
so the result is always that of ASE.  ASE is imported on use: ``ase.io`` takes a third of a
second, a large part of the time in which a small file is mapped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from ase.calculators.calculator import all_properties

from ..frames import meta_of, voigt_stress
from .kernels import INTEGER, NUMBER, REAL, SYMBOL, TEXT
from .text import FORCE, POSITION

PLAIN = "species:S:1:pos:R:3"
"""Columns of a file that does not name them."""

# key, key=value or key="quoted value", each followed by a blank or the end.
_PAIR = re.compile(r"""[^\s="'{}\[\]\\]+(?:=(?:"[^"\\]+"|[^\s="'{}\[\]\\]+))?(?:\s+|$)""")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TRUTHS = re.compile(r"[TF] [TF] [TF]")
_WORD = re.compile(r"[A-Za-z][^\s,]*")
_NO_WORDS = {"t", "f", "true", "false", "nan", "inf", "infinity"}
_SIZES = {"Lattice": 9, "stress": 9, "virial": 9, "REF_stress": 6}

# As in ase.io.extxyz (a test compares): names of columns, and what belongs to a calculator.
ASE_NAMES = {"pos": "positions", "Z": "numbers", "charge": "charges", "species": "symbols"}
RESULTS = frozenset(
    ("energy", "free_energy", "stress", "dipole", "magmom", "polarization", "dielectric_tensor")
)


class NotPlain(Exception):
    """The frame needs ASE."""


def parse_comment(line: str) -> dict[str, Any]:
    """Entries of a comment line; equal to ASE's ``key_val_str_to_dict``."""
    line = line.strip()
    pairs = _PAIR.findall(line)
    if sum(map(len, pairs)) != len(line):
        return _by_ase(line)
    return dict(map(_entry, pairs))


def _by_ase(line: str) -> dict[str, Any]:
    from ase.io.extxyz import key_val_str_to_dict

    entries: dict[str, Any] = key_val_str_to_dict(line)
    return entries


@lru_cache(maxsize=4096)  # most entries are the same in all frames of a file
def _entry(pair: str) -> tuple[str, Any]:
    """Key and value of one entry; nobody may write to the value."""
    key, _, text = pair.rstrip().partition("=")
    value = _value(key, text.strip('"'))
    return (key, value) if value is not None else (key, _by_ase(pair)[key])


def _value(key: str, text: str) -> Any:
    """Value of one entry, or None where ASE has to look at it."""
    if key.lower() == "uid":
        return None
    if key == "pbc" and _TRUTHS.fullmatch(text):
        return np.array([part == "T" for part in text.split()])
    if key in _SIZES:
        try:
            numbers = np.array([float(part) for part in text.split()])
        except ValueError:
            return None
        if len(numbers) != _SIZES[key]:
            return None
        return numbers if key == "REF_stress" else numbers.reshape((3, 3), order="F")
    if _INTEGER.fullmatch(text):
        return np.int64(int(text))
    if _FLOAT.fullmatch(text):
        return np.float64(float(text))
    word = _WORD.match(text)
    # With a first part that is a word the value can be neither numbers nor truth values.
    return text if word and word.group().lower() not in _NO_WORDS else None


@dataclass(frozen=True)
class Columns:
    """How atom lines are read: arguments of :func:`kernels.parse_rows`."""

    kinds: np.ndarray
    slots: np.ndarray
    forced: bool


@lru_cache(maxsize=64)
def columns_of(properties: str, forces: str) -> Columns:
    """Columns for a ``Properties`` value; `forces` is the property that holds the forces.

    Raises
    ------
    NotPlain
        ASE does more with one of the properties than to store it.
    ValueError
        The value is malformed, or there are no positions.
    """
    fields = properties.split(":")
    names = [ASE_NAMES.get(name, name) for name in fields[::3]]
    _check_properties(fields)
    if "positions" not in names:
        raise ValueError("Properties has no pos:R:3")
    if len(set(names)) < len(names) or {"move_mask", "initial_charges"} & set(names):
        raise NotPlain
    kinds: list[int] = []
    slots: list[int] = []
    forced = False
    for name, kind, count in zip(names, fields[1::3], fields[2::3], strict=False):
        n = int(count)
        if n < 1 or (kind not in "RI" and name in all_properties):
            raise NotPlain
        code = {"R": REAL, "I": INTEGER}.get(kind, TEXT)
        slot = np.full(n, -1)
        if name in ("positions", forces):
            if (kind, n) != ("R", 3):
                raise NotPlain
            slot = np.arange(3) + (POSITION if name == "positions" else FORCE)
            forced |= name == forces
        elif name == "numbers":
            code = NUMBER
        elif name == "symbols" and "numbers" not in names:
            code = SYMBOL
        if (code == NUMBER and (kind, n) != ("I", 1)) or (
            code == SYMBOL and (kind, n) != ("S", 1)
        ):
            raise NotPlain
        kinds += [code] * n
        slots += slot.tolist()
    if not {"numbers", "symbols"} & set(names):
        raise NotPlain
    return Columns(np.array(kinds, dtype=np.int64), np.array(slots, dtype=np.int64), forced)


def _check_properties(fields: list[str]) -> None:
    for kind in fields[1::3]:
        if kind not in ("R", "I", "S", "L"):
            raise ValueError(f"Properties has a column of type {kind!r}; allowed are R, I, S, L")
    if len(fields) % 3 or not all(re.fullmatch(r"-?[0-9]+", n) for n in fields[2::3]):
        raise ValueError("Properties is no list of name:type:columns")


@dataclass(frozen=True)
class Header:
    """All that a comment line says of its frame."""

    columns: Columns
    cell: np.ndarray
    pbc: np.ndarray
    meta: dict[str, Any]
    energy: float
    stress: np.ndarray | None


def header_of(line: str, labels: bool) -> Header:
    """Header of a frame as ASE and :func:`frames.from_atoms` understand it.

    Parameters
    ----------
    line : str
    labels : bool
        Take labels that are not under ``REF_`` keys where there is no `REF_energy`.

    Raises
    ------
    NotPlain
        The frame needs ASE.
    ValueError, TypeError
        The line is malformed.
    """
    info = parse_comment(line)
    pbc = np.zeros(3, dtype=bool)
    pbc[:] = info.pop("pbc", "Lattice" in info)
    cell = info.pop("Lattice").T if "Lattice" in info else np.zeros((3, 3))
    properties = info.pop("Properties", PLAIN)
    if not isinstance(properties, str):
        raise ValueError("Properties is no text such as species:S:1:pos:R:3")
    results = {key: info.pop(key) for key in RESULTS.intersection(info)}
    forces = "REF_forces"
    if labels and "REF_energy" not in info:
        energy = results.get("free_energy", results.get("energy"))
        if energy is not None:
            info["REF_energy"] = energy
        stress = results.get("stress")
        if stress is not None and np.size(stress) == 9:
            info["REF_stress"] = stress
        if "forces" in properties.split(":")[::3]:
            forces = "forces"
    stress = info.get("REF_stress")
    return Header(
        columns_of(properties, forces),
        cell,
        pbc,
        meta_of(info),
        float(info.get("REF_energy", np.nan)),
        None if stress is None else voigt_stress(stress),
    )
