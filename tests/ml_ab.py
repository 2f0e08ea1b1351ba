"""Writes ML_AB files as VASP does: sections, lines of signs, three entries per line."""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms
from ase.units import GPa

STARS, DASHES, EQUALS = "*" * 50, "-" * 50, "=" * 50


def _threes(words: Sequence[str]) -> list[str]:
    return ["     " + " ".join(words[i : i + 3]) for i in range(0, len(words), 3)]


def _section(title: str, lines: Sequence[str], above: str = EQUALS) -> list[str]:
    return [above, f"     {title}", DASHES, *lines]


def _numbers(rows) -> list[str]:
    return ["".join(f"{value:24.15E}" for value in row) for row in rows]


def header(images: Sequence[Atoms], names: Sequence[str]) -> list[str]:
    symbols = list(dict.fromkeys(names))
    most = max(len(image) for image in images)
    lines = ["  1.0 Version"]
    for title, values in (
        ("The number of configurations", [f"{len(images):11d}"]),
        ("The maximum number of atom type", [f"{len(symbols):8d}"]),
        ("The atom types in the data file", _threes([f"{s:<2s}" for s in symbols])),
        ("The maximum number of atoms per system", [f"{most:15d}"]),
        ("The maximum number of atoms per atom type", [f"{most:15d}"]),
        ("Reference atomic energy (eV)", _threes(["0.000000000000000E+000"] * len(symbols))),
        ("Atomic mass", _threes(["26.9800000000000"] * len(symbols))),
        ("The numbers of basis sets per atom type", _threes(["1"] * len(symbols))),
        *((f"Basis set for {s}", ["          1      1"]) for s in symbols),
    ):
        lines += _section(title, values, STARS)
    return lines


def configuration(number: int, image: Atoms, ctifor: bool, names: Sequence[str]) -> list[str]:
    """One block; `names` are those of the types, in the order of the atoms."""
    kinds = list(dict.fromkeys(names))
    xx, yy, zz, yz, xz, xy = (-10 * value / GPa for value in image.get_stress())
    lines = [STARS, f"     Configuration num. {number:6d}"]
    lines += _section("System name", ["     Al Cu melt"])
    lines += _section("The number of atom types", [f"{len(kinds):8d}"])
    lines += _section("The number of atoms", [f"{len(image):11d}"])
    counts = [f"     {kind:<2s} {list(names).count(kind):6d}" for kind in kinds]
    lines += _section("Atom types and atom numbers", counts, STARS)
    if ctifor:
        lines += _section("CTIFOR", ["   2.000000000000000E-002"])
    lines += _section("Primitive lattice vectors (ang.)", _numbers(image.cell.array))
    lines += _section("Atomic positions (ang.)", _numbers(image.positions))
    lines += _section("Total energy (eV)", [f"  {image.get_potential_energy():.12f}"])
    lines += _section("Forces (eV ang.^-1)", _numbers(image.get_forces()))
    lines += _section("Stress (kbar)", [])
    lines += ["     XX YY ZZ", DASHES, *_numbers([(xx, yy, zz)]), DASHES]
    return [*lines, "     XY YZ ZX", DASHES, *_numbers([(xy, yz, xz)])]


def ml_ab(images: Sequence[Atoms], ctifor: bool = True, names=None) -> str:
    """Text of a file that holds `images`, which have calculators."""
    names = names or [image.get_chemical_symbols() for image in images]
    lines = header(images, [name for one in names for name in one])
    for number, (image, one) in enumerate(zip(images, names, strict=True), 1):
        lines += configuration(number, image, ctifor, one)
    return "\n".join(lines) + "\n"
