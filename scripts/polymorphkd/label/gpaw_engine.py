"""Labels from GPAW: plane-wave PAW DFT inside this process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np
from ase import Atoms

from ..provenance import digest, version_of
from ..settings import Gpaw
from .mesh import mesh
from .programs.potentials import with_moments
from .result import ZERO_WIDTH, Result, crashed, open_boundary


class GpawEngine:
    """GPAW in plane-wave mode; energies are free energies, as forces and stress need."""

    title = "GPAW plane-wave DFT"

    def __init__(self, settings: Gpaw) -> None:
        self.settings = settings

    @cached_property
    def version(self) -> str:
        """GPAW and its data set, with versions."""
        return f"gpaw {version_of('gpaw')}, gpaw-data {version_of('gpaw-data')}"

    @cached_property
    def settings_hash(self) -> str:
        """Digest of the settings and of the versions of program and setups."""
        values = self.settings.model_dump(mode="json")
        if not values["moments"]:
            del values["moments"]  # labels of before there was this key are found again
        return digest({"engine": self.version, **values})

    def _parameters(self, cell: np.ndarray, pbc: np.ndarray) -> dict[str, Any]:
        settings = self.settings
        occupations: dict[str, Any] = {"name": settings.smearing, "width": settings.width}
        if settings.smearing == "methfessel-paxton":
            occupations["order"] = 1
        return {
            "mode": {"name": "pw", "ecut": settings.ecut},
            "xc": settings.xc,
            "kpts": {"size": mesh(cell, pbc, settings.kspacing), "gamma": True},
            "occupations": occupations,
            "eigensolver": {"name": "davidson", "niter": settings.davidson_steps},
            "convergence": {
                "energy": settings.energy_tolerance,
                "density": settings.density_tolerance,
                "eigenstates": settings.eigenstates_tolerance,
            },
            "maxiter": settings.max_scf_steps,
            "txt": None,
        }

    def calculate(self, atoms: Atoms, mesh_cell: np.ndarray | None = None) -> Result:
        """Label one configuration; failures become statuses, never exceptions."""
        if (refused := open_boundary(atoms)) is not None:
            return refused
        from gpaw import GPAW, KohnShamConvergenceError

        atoms = with_moments(atoms, self.settings.moments)
        cell = atoms.cell.array if mesh_cell is None else mesh_cell
        started = time.monotonic()
        try:
            atoms.calc = GPAW(**self._parameters(cell, atoms.pbc))
            energy = float(atoms.get_potential_energy(force_consistent=True))
            forces = atoms.get_forces()
            stress = atoms.get_stress(voigt=True)
            zero = float(atoms.get_potential_energy())
            steps = int(atoms.calc.get_number_of_iterations())
        except KohnShamConvergenceError:
            reason = f"not converged in {self.settings.max_scf_steps} SCF steps"
            return Result("unconverged", reason, time.monotonic() - started)
        except Exception as error:  # noqa: BLE001  (whatever one frame does, the next goes on)
            return crashed(error, started)
        # GPAW extrapolates with the same share, which tells the entropy; where that is none
        # (Marzari-Vanderbilt), it does not tell.
        share = ZERO_WIDTH.get(self.settings.smearing)
        return Result(
            "ok", "", time.monotonic() - started, energy, forces, stress, steps,
            energy_zero=zero, entropy=(zero - energy) / share if share else None,
        )  # fmt: skip

    @classmethod
    def problem(cls, settings: Gpaw, elements: Sequence[str]) -> str | None:
        """Missing program, data set or setup, with what to do about it; or None."""
        if find_spec("gpaw") is None or find_spec("_gpaw") is None:
            return "GPAW is not installed; run `make env`, or choose another label.engine"
        from gpaw import setup_paths
        from gpaw.setup_data import search_for_file

        functional = "LDA" if settings.xc == "LDA" else "PBE"
        for symbol in elements:
            try:
                search_for_file(f"{symbol}.{functional}")
            except (FileNotFoundError, RuntimeError):
                return (
                    f"no {functional} setup for element {symbol} in {list(setup_paths)}; install "
                    "gpaw-data or set GPAW_SETUP_PATH, or choose another label.engine"
                )
        return None
