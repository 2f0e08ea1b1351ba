"""ASE calculators by import path."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

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
