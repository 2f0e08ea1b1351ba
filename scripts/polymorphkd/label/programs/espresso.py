"""Labels from pw.x of Quantum ESPRESSO.

What pw.x calls total energy is F = E - TS, of which forces and stress are derivatives.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.units import Rydberg

from ...settings import Espresso
from .engine import OUTPUT, Numbers, Report
from .file_engine import FileEngine
from .potentials import (
    folder_of,
    link,
    valence,
    with_moments,
)

INPUT = "label.pwi"
ERROR = re.compile(r"%%%%\s*\n\s*Error in routine\s+(.+?):\s*\n\s*(.+?)\s*\n")
HUBBARD = re.compile(r"lda_plus_u|hubbard_|u_projection_type")
SMEARING = {
    "gaussian": "gaussian", "fermi-dirac": "fermi-dirac", "methfessel-paxton": "m-p",
    "marzari-vanderbilt": "m-v",
}  # fmt: skip


class EspressoEngine(FileEngine[Espresso]):
    """Quantum ESPRESSO; inputs and numbers through ASE."""

    name = "espresso"
    title = "Quantum ESPRESSO"
    arguments = ("-in", INPUT)
    ask_version = ()  # it prints its version and stops for want of an input
    variable = "ESPRESSO_PSEUDO"
    file_example = ".pbe.UPF"
    version_pattern = r"Program PWSCF\s*v\.(\S+)"

    @classmethod
    def file_problem(cls, settings: Espresso) -> str | None:
        if unknown := _unknown(settings.keywords):
            return f"label.espresso.keywords: {unknown} is no keyword of pw.x"
        if problem := super().file_problem(settings):
            return problem
        folder = folder_of(settings.potential_folder, cls.variable) or Path()
        try:
            for symbol in settings.moments.keys() & settings.potentials.keys():
                valence(folder / settings.potentials[symbol])
        except ValueError as error:
            return f"label.espresso.moments: {error}; use a UPF file"
        return None

    def write(self, folder: Path, atoms: Atoms, sizes: tuple[int, int, int]) -> None:
        from ase.io.espresso import write_espresso_in

        settings = self.settings
        used = {s: settings.potentials[s] for s in dict.fromkeys(atoms.get_chemical_symbols())}
        link(folder, self._folder(), used.values())
        # ASE hands moments on as they are, and pw.x counts them in valence electrons.
        shares = {
            symbol: settings.moments[symbol] / valence(self._folder() / file)
            for symbol, file in used.items()
            if symbol in settings.moments
        }
        with (folder / INPUT).open("w") as stream:
            write_espresso_in(
                stream, with_moments(atoms, shares), input_data=self._keywords(atoms, list(used)),
                pseudopotentials=used,
                kpts=None if sizes == (1, 1, 1) else sizes,  # real wavefunctions at half the cost
            )  # fmt: skip

    def _keywords(self, atoms: Atoms, kinds: list[str]) -> Any:
        """Namelists of a static run; symmetry is off, because distorted cells have none."""
        from ase.io.espresso import Namelist

        settings = self.settings
        own = Namelist(
            {
                "calculation": "scf",
                "outdir": "./out",
                "pseudo_dir": "./",
                "disk_io": "none",
                "tprnfor": True,
                "tstress": True,
                "nosym": True,
                "ecutwfc": settings.ecutwfc / Rydberg,
                "ecutrho": settings.ecutwfc * settings.density_ratio / Rydberg,
                "occupations": "smearing",
                "smearing": SMEARING[settings.smearing],
                "degauss": settings.width / Rydberg,
                "nspin": 2 if settings.moments else 1,
                "conv_thr": settings.scf_tolerance * len(atoms) / Rydberg,
                "electron_maxstep": settings.max_scf_steps,
                **({"input_dft": settings.functional} if settings.functional else {}),
                **{_indexed(key, kinds): _number(v) for key, v in settings.keywords.items()},
            }
        )
        # A keyword of an element that this frame lacks has no index, and nothing to act on.
        own = Namelist({key: value for key, value in own.items() if "?" not in key})
        # ASE drops what it does not know, among it the + U of pw.x before 7.1.
        system = {key: value for key, value in own.items() if HUBBARD.match(key)}
        own.to_nested("pw")
        own["system"].update(system)
        return own

    def report(self, folder: Path, printed: str) -> Report:
        done = re.search(r"convergence has been achieved in\s+(\d+) iterations", printed)
        failed = re.search(r"convergence NOT achieved after\s+(\d+) iterations", printed)
        error = ERROR.search(printed)
        steps = done or failed
        return Report(
            complete="JOB DONE." in printed,
            converged=bool(done) if steps else None,
            scf_steps=int(steps[1]) if steps else None,
            message=f"{error[1]}: {error[2]}" if error else "",
        )

    def numbers(self, folder: Path) -> Numbers:
        from ase.io.espresso import read_espresso_out

        with (folder / OUTPUT).open() as stream:
            (atoms,) = read_espresso_out(stream)
        text = (folder / OUTPUT).read_text()
        smeared = re.search(r"smearing contrib\. \(-TS\)\s*=\s*(\S+) Ry", text)
        return Numbers(
            atoms.get_potential_energy(force_consistent=True),
            atoms.get_forces(apply_constraint=False),
            atoms.get_stress(apply_constraint=False),
            -float(smeared[1]) * Rydberg if smeared else None,
        )


def _unknown(keywords: dict[str, Any]) -> str:
    """First keyword that no namelist of pw.x has, or an empty string."""
    from ase.io.espresso_namelist.keys import ALL_KEYS

    known = {name.lower() for names in ALL_KEYS["pw"].values() for name in names}
    names = (key.split("(")[0] for key in keywords)
    return next((name for name in names if name not in known and not HUBBARD.match(name)), "")


def _indexed(key: str, kinds: list[str]) -> str:
    """``hubbard_u(fe)`` with the number that pw.x gives to the element in this frame."""
    found = re.fullmatch(r"(\w+)\((\w+)\)", key)
    if not found:
        return key
    numbers = {symbol.lower(): i for i, symbol in enumerate(kinds, 1)}
    return f"{found[1]}({numbers.get(found[2].lower(), '?')})"


def _number(value: Any) -> Any:
    """YAML takes 1e-9 for a text, which the input must not."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?[\d.]+[eEdD][-+]?\d+", value):
        return float(re.sub("[dD]", "e", value))
    return value
