"""Labels from any ASE calculator, named by its import path."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from importlib import metadata

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculatorError

from ..calculators import consistent_energy, make_calculator
from ..errors import EngineError
from ..provenance import digest, version_of
from ..settings import AseEngine
from .result import Result, crashed, open_boundary


class AseCalculatorEngine:
    """Any ASE calculator that gives energy, forces and stress."""

    title = "ASE calculator"

    def __init__(self, settings: AseEngine) -> None:
        self.settings = settings
        self.calculator = make_calculator(settings.calculator, settings.arguments)

    @cached_property
    def version(self) -> str:
        """Import path of the calculator and version of the package it comes from."""
        # Cached: it looks through all that is installed, and every label carries it.
        top = self.settings.calculator.split(".")[0]
        names = metadata.packages_distributions().get(top, [top])
        return f"{self.settings.calculator} {version_of(names[0])}".strip()

    @property
    def settings_hash(self) -> str:
        """Digest of the calculator's path and arguments."""
        return digest({"engine": "ase", **self.settings.model_dump(mode="json")})

    def calculate(self, atoms: Atoms, mesh_cell: np.ndarray | None = None) -> Result:
        """Label one configuration; `mesh_cell` has no meaning here."""
        if (refused := open_boundary(atoms)) is not None:
            return refused
        atoms = atoms.copy()
        atoms.calc = self.calculator
        started = time.monotonic()
        try:
            return Result(
                status="ok",
                reason="",
                energy=consistent_energy(atoms),
                forces=atoms.get_forces(),
                stress=atoms.get_stress(voigt=True),
                seconds=time.monotonic() - started,
            )
        except Exception as error:  # noqa: BLE001  (whatever one frame does, the next goes on)
            return crashed(error, started)

    @classmethod
    def problem(cls, settings: AseEngine, elements: Sequence[str]) -> str | None:
        """Why the calculator cannot be made or does not know an element, or None."""
        try:
            calculator = make_calculator(settings.calculator, settings.arguments)
        except EngineError as error:
            return str(error)
        for symbol in elements:
            probe = Atoms(symbol, cell=[6.0, 6.0, 6.0], pbc=True)
            probe.calc = calculator
            try:
                probe.get_potential_energy()
            except (CalculatorError, KeyError, ValueError, RuntimeError) as error:
                return f"{settings.calculator} cannot compute element {symbol}: {error}"
        return None
