"""ASE calculators by import path."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from .errors import EngineError


def calculator_class(path: str) -> type[BaseCalculator]:
    """Class named by an import path such as ``ase.calculators.emt.EMT``.

    Raises
    ------
    EngineError
        The module or the class does not exist in this environment.
    """
    module_name, _, class_name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise EngineError(
            f"calculator {path}: cannot be imported ({error}); give the import path of an "
            "installed ASE calculator class, for example ase.calculators.emt.EMT"
        ) from error


def make_calculator(path: str, arguments: Mapping[str, Any]) -> BaseCalculator:
    """Calculator `path` made with keyword `arguments`.

    Raises
    ------
    EngineError
        The class cannot be imported or does not take these arguments.
    """
    factory = calculator_class(path)
    try:
        return factory(**arguments)
    except TypeError as error:
        raise EngineError(
            f"calculator {path}: wrong arguments {dict(arguments)}: {error}"
        ) from error


def consistent_energy(atoms: Atoms) -> float:
    """The energy (eV) whose derivatives the forces are: the free energy if there is one."""
    has_free_energy = "free_energy" in getattr(atoms.calc, "implemented_properties", ())
    return float(atoms.get_potential_energy(force_consistent=has_free_energy))
