"""Labels from ABINIT; its total energy holds -kT*entropy, so it is the free energy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.data import atomic_numbers
from ase.units import Hartree

from ...errors import EngineError
from ...settings import Abinit
from .engine import Numbers, Report
from .file_engine import FileEngine
from .potentials import (
    link,
    with_moments,
)

INPUT, MAIN = "label.abi", "label.abo"
ERROR = re.compile(r"--- !(?:ERROR|BUG)\n(?:.*\n)*?message: \|\n((?: +.*\n)+)")
OTHER_FUNCTIONAL = re.compile(r"pspxc:\s*(-?\d+), not equal to input ixc:\s*(-?\d+)")
OCCOPT = {
    "gaussian": 7, "fermi-dirac": 3, "methfessel-paxton": 6, "marzari-vanderbilt": 4,
}  # fmt: skip


class AbinitEngine(FileEngine[Abinit]):
    """ABINIT 9 or later; inputs and numbers through ASE."""

    name = "abinit"
    title = "ABINIT"
    arguments = (INPUT,)
    ask_version = ("--version",)
    variable = "ABINIT_PP_PATH"
    file_example = ".psp8"
    version_pattern = r"(?m)^\s*(\d+\.\d+\.\d+)\s*$"

    def write(self, folder: Path, atoms: Atoms, sizes: tuple[int, int, int]) -> None:
        from ase.io.abinit import write_abinit_in

        kinds = sorted(set(atoms.get_chemical_symbols()), key=lambda s: atomic_numbers[s])
        files = [self.settings.potentials[symbol] for symbol in kinds]
        link(folder, self._folder(), files)
        with (folder / INPUT).open("w") as stream:
            write_abinit_in(
                stream, with_moments(atoms, self.settings.moments),
                param=self._variables(len(atoms), sizes), pseudos=files,
            )  # fmt: skip

    def _variables(self, n_atoms: int, sizes: tuple[int, int, int]) -> dict[str, Any]:
        """Variables of a static run; symmetry is off, because distorted cells have none."""
        settings = self.settings
        own: dict[str, Any] = {
            "pps": "pawxml",  # keeps ASE from writing a functional of its own
            "ecut": settings.ecut,  # ASE adds the unit eV to this and the next, and to tsmear
            "pawecutdg": settings.ecut * settings.density_ratio,
            "kptopt": 2,  # time reversal alone
            "ngkpt": list(sizes),
            "nshiftk": 1,
            "shiftk": [0.0, 0.0, 0.0],
            "nsym": 1,
            "occopt": OCCOPT[settings.smearing],
            "tsmear": settings.width,
            # Bands above the occupied ones, per atom.  ABINIT's own half a band per atom
            # leaves the highest band partly filled in small cells of metals.
            "fband": max(1.0, 6.0 / n_atoms),
            "tolvrs": f"{settings.scf_tolerance:g}",
            "nstep": settings.max_scf_steps,
            "optforces": 1,
            "optstress": 1,
            **dict.fromkeys(("prtwf", "prtden", "prteig", "prtgsr"), 0),
        }
        if settings.functional is not None:
            own["ixc"] = settings.functional
        return own | {name: _written(value) for name, value in settings.keywords.items()}

    def report(self, folder: Path, printed: str) -> Report:
        main = folder / MAIN
        text = main.read_text(errors="replace") if main.is_file() else ""
        done = re.search(r"At SCF step\s+(\d+).*?=>\s*converged", text)
        failed = re.search(r"nstep=\s*(\d+) was not enough SCF cycles to converge", text)
        error = ERROR.search(printed)
        other = OTHER_FUNCTIONAL.search(printed)
        if other and self.settings.functional is None:
            # ABINIT warns and goes on with what neither potential was made for.
            raise EngineError(
                f"label.abinit.potentials: made with different functionals (pspxc {other[1]}, "
                f"ixc {other[2]}); take others, or set label.abinit.functional"
            )
        steps = done or failed
        return Report(
            complete="Calculation completed." in text,
            converged=failed is None if steps else None,
            scf_steps=int(steps[1]) if steps else None,
            message=" ".join(error[1].split()) if error else "",
        )

    def numbers(self, folder: Path) -> Numbers:
        from ase.io.abinit import read_abinit_out

        text = (folder / MAIN).read_text()
        with (folder / MAIN).open() as stream:
            found = read_abinit_out(stream)
        entropic = re.search(r"'-kT\*entropy'\s*:\s*(\S+)", text)
        return Numbers(
            found["free_energy"], found["forces"], found["stress"],
            -float(entropic[1]) * Hartree if entropic else None,
        )  # fmt: skip


def _written(value: Any) -> Any:
    if isinstance(value, list):
        return [_written(one) for one in value]
    return int(value) if isinstance(value, bool) else value
