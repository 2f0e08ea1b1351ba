"""OUTCAR, read line by line with fixed numbers of decimals: columns may run together."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from ...readers.chunks import reason_of
from ...readers.sources import open_bytes
from .output import RunSettings, Step, VaspOutput, ase_stress, functional_of

ITERATION = re.compile(r"Iteration\s+([\d*]+)\(\s*(\d+)\)")
TAG = re.compile(r"(?:^|[\s;])([A-Z][A-Z0-9_]*)\s*=\s*([^\s;]+)")
TAGS = {
    *("ENCUT", "NELM", "EDIFF", "NSW", "IBRION", "NELECT", "ISMEAR", "SIGMA", "ISPIN", "GGA"),
    *("METAGGA", "LHFCALC", "AEXX", "HFSCREEN", "LUSE_VDW", "IVDW", "KSPACING"),
}
DECIMALS = {n: re.compile(rf"-?\d+\.\d{{{n}}}") for n in (2, 5, 6, 9)}
SEVERAL = "several runs wrote into this file at once"
NUMBER = re.compile(r"[-+]?\d+\.\d+(?:E[-+]\d+)?")


@dataclass
class _Header:
    """What stands before the first electronic step."""

    version: str = ""
    titles: list[str] = field(default_factory=list)
    made_for: str = ""
    counts: list[int] = field(default_factory=list)
    valence: list[float] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    hubbard: dict[str, list[float]] = field(default_factory=dict)
    kpoints: list[list[float]] = field(default_factory=list)

    def read(self, line: str, lines: Iterator[str]) -> None:
        """Take what one line, or the table below it, tells."""
        if not self.version and line.lstrip().startswith("vasp."):
            self.version = line.split()[0].removeprefix("vasp.")
        elif "TITEL  =" in line:
            self.titles.append(line.split("=", 1)[1].strip())
        elif "ions per type =" in line:
            self.counts = [int(n) for n in line.split("=", 1)[1].split()]
        elif line.lstrip().startswith("ZVAL"):
            self.valence = [float(z) for z in DECIMALS[2].findall(line)]
        elif "irreducible k-points:" in line:
            n = int(line.split("irreducible")[0].split()[-1])
            rows = islice(lines, 3, 3 + n)
            self.kpoints = [[float(v) for v in NUMBER.findall(row)] for row in rows]
        elif "for each species LDAU" in line:
            name = line.split("LDAU")[1][0]
            self.hubbard[name] = [float(v) for v in line.split("=", 1)[1].split()]
        elif "LEXCH  =" in line and not self.made_for:
            self.made_for = line.split("=", 1)[1].split()[0]
        else:
            for name, value in TAG.findall(line):
                # An unset METAGGA is printed after the one that INCAR set.
                if name in TAGS and not (name == "METAGGA" and value in ("F", "--")):
                    self.tags[name] = value

    @property
    def symbols(self) -> list[str]:
        """Element of each POTCAR, from its title."""
        titles = self.titles[: len(self.counts)]
        return [title.split()[1].split("_")[0] for title in titles if len(title.split()) > 1]

    def settings(self) -> RunSettings:
        """Settings; raises KeyError or ValueError where a tag is absent or no number."""
        tags, symbols = self.tags, self.symbols
        u, j = self.hubbard.get("U", []), self.hubbard.get("J", [])
        pairs = zip(symbols, u, j or [0.0] * len(u), strict=False)
        neutral = np.dot(self.valence, self.counts) if self.valence else np.nan
        extra = {
            "LHFCALC": tags.get("LHFCALC", "F").strip(".").startswith("T"),
            "AEXX": float(tags.get("AEXX", 0)),
            "HFSCREEN": float(tags.get("HFSCREEN", 0)),
            "LUSE_VDW": tags.get("LUSE_VDW", "F").strip(".").startswith("T"),
            "IVDW": int(tags.get("IVDW", 0)),
        }
        return RunSettings(
            version=self.version,
            functional=functional_of(
                tags.get("GGA", ""), tags.get("METAGGA", ""), self.made_for, extra
            ),
            encut=float(tags["ENCUT"]),
            ismear=int(tags["ISMEAR"]),
            sigma=float(tags["SIGMA"]),
            ispin=int(tags["ISPIN"]),
            nelm=int(tags["NELM"]),
            ediff=float(tags["EDIFF"]),
            charge=float(neutral - float(tags["NELECT"])),
            potentials=dict(zip(symbols, self.titles, strict=False)),
            hubbard={symbol: a - b for symbol, a, b in pairs if a - b},
            kspacing=float(tags["KSPACING"]) if "KSPACING" in tags else None,
            mesh=mesh_of(self.kpoints),
        )


def mesh_of(kpoints: list[list[float]]) -> tuple[int, int, int] | None:
    """Points of the mesh that irreducible k-points belong to, or None where they form none.

    Parameters
    ----------
    kpoints : list of [a, b, c, weight]
        Coordinates along the reciprocal vectors; weights count the points that each stands for.
    """
    if not kpoints or any(len(row) != 4 for row in kpoints):
        return None
    table = np.array(kpoints)
    counts = []
    for column in table[:, :3].T:
        # The mirror images belong to the mesh as well, and 1/2 is its own.
        values = np.unique(np.round(np.concatenate([column, -column]) % 1.0, 4) % 1.0)
        gaps = np.diff(np.append(values, values[0] + 1.0))
        counts.append(round(1 / gaps.min()))
    a, b, c = counts
    # Weights may be multiples; where the product does not divide their sum, points are missing.
    return (a, b, c) if round(table[:, 3].sum()) % (a * b * c) == 0 else None


def read_outcar(path: Path) -> VaspOutput:
    """Steps of an OUTCAR, plain or compressed; what is wrong is part of the answer."""
    scan = _Scan()
    try:
        with open_bytes(path) as stream:
            scan.read(line.decode("utf-8", "replace") for line in stream)
    except (EOFError, OSError, zlib.error):
        scan.complete = False  # the compressed file itself is cut
    except ValueError as error:
        unreadable = ("rejected:file", f"not readable as OUTCAR: {reason_of(error)}")
        return VaspOutput(path, complete=scan.complete, problem=unreadable)
    header = scan.header
    if not header.version:
        return VaspOutput(path, problem=("rejected:file", "does not start as an OUTCAR does"))
    unknown = [symbol for symbol in header.symbols if symbol not in atomic_numbers]
    if unknown:
        reason = f"{unknown[0]!r} is not a valid element"
        return VaspOutput(path, complete=scan.complete, problem=("rejected:species", reason))
    try:
        settings = header.settings()
    except (KeyError, ValueError) as error:
        status = "rejected:file" if scan.complete else "truncated"
        reason = f"its settings are not whole ({reason_of(error)})"
        return VaspOutput(path, complete=scan.complete, problem=(status, reason))
    note = ""
    n_steps = int(header.tags.get("NSW", 0))
    if header.tags.get("IBRION") == "0" and len(scan.steps) < n_steps:
        note = f"{len(scan.steps)} of {n_steps} MD steps"
    problem = (
        ("rejected:file", "several runs wrote into this file at once") if scan.mixed else None
    )
    return VaspOutput(path, settings, scan.steps, scan.complete, scan.stopped, problem, note)


class _Scan:
    """One pass over the lines."""

    def __init__(self) -> None:
        self.header = _Header()
        self.steps: list[Step] = []
        self.complete = self.stopped = self.mixed = False
        self.cell: np.ndarray | None = None
        self.n_scf, self.ionic = 0, ""
        self._start()

    def _start(self) -> None:
        """Forget what belongs to the step before."""
        self.change: float | None = None
        self.stress: np.ndarray | None = None
        self.atoms: np.ndarray | None = None
        self.energies: list[float] = []

    def read(self, lines: Iterator[str]) -> None:
        for line in lines:
            if match := ITERATION.search(line):
                self._iteration(match[1], int(match[2]))
            elif self.n_scf == 0:
                self.header.read(line, lines)
            if "direct lattice vectors" in line and "reciprocal" in line:
                rows = [DECIMALS[9].findall(row)[:3] for row in islice(lines, 3)]
                if all(len(row) == 3 for row in rows) and len(rows) == 3:
                    self.cell = np.array(rows, dtype=float)
            elif self.n_scf:
                self._electronic(line, lines)

    def _iteration(self, ionic: str, number: int) -> None:
        if number == 1:
            self._finish()
        # Of two runs that write into one file at once, the lines are mixed.
        elif ionic != self.ionic or number != self.n_scf + 1:
            self.mixed = True
        self.ionic, self.n_scf, self.change = ionic, number, None

    def _electronic(self, line: str, lines: Iterator[str]) -> None:
        if "energy-change (2. order)" in line:
            numbers = NUMBER.findall(line.split(":", 1)[1])
            self.change = abs(float(numbers[0])) if numbers else None
        elif line.startswith("  in kB"):
            numbers = DECIMALS[5].findall(line)
            if len(numbers) == 6:
                xx, yy, zz, xy, yz, zx = map(float, numbers)
                self.stress = ase_stress([[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]])
        elif "POSITION" in line and "TOTAL-FORCE" in line:
            self._positions(lines)
        elif "free  energy   TOTEN" in line:
            self.energies = [float(value) for value in NUMBER.findall(line)][:1]
        elif "energy  without entropy" in line:
            self.energies += [float(value) for value in NUMBER.findall(line)]
        elif line.startswith("     LOOP+"):
            self._finish()
        elif line.startswith(" IVDW") and (match := TAG.search(line)):
            self.header.tags["IVDW"] = match[2]  # printed with the first correction
        elif "soft stop encountered" in line:
            self.stopped = True
        elif "General timing and accounting" in line:
            self.complete = True

    def _positions(self, lines: Iterator[str]) -> None:
        if self.atoms is not None:
            self._finish()
        next(lines, "")
        rows = list(islice(lines, sum(self.header.counts)))
        numbers = [
            DECIMALS[5].findall(row[:44])[:3] + DECIMALS[6].findall(row[40:])[:3] for row in rows
        ]
        if len(rows) == sum(self.header.counts) and all(len(one) == 6 for one in numbers):
            self.atoms = np.array(numbers, dtype=float)

    def _finish(self) -> None:
        """Keep the step before if it is whole; its parts come in an order of its version."""
        if self.atoms is not None and self.cell is not None and len(self.energies) == 3:
            free, without, zero = self.energies
            symbols = np.repeat(self.header.symbols, self.header.counts)
            atoms = Atoms(symbols.tolist(), self.atoms[:, :3], cell=self.cell, pbc=True)
            self.steps.append(
                Step(
                    atoms, self.n_scf, self.change, free, zero, without - free,
                    self.atoms[:, 3:], self.stress,
                )
            )  # fmt: skip
        self._start()
