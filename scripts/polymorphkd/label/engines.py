"""The interface of a labelling engine and the registry of engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from ase import Atoms

from ..errors import EngineError
from ..settings import Label
from .ase_engine import AseCalculatorEngine
from .gpaw_engine import GpawEngine
from .programs.abinit import AbinitEngine
from .programs.cp2k import Cp2kEngine
from .programs.espresso import EspressoEngine
from .result import Result
from .vasp.engine import VaspEngine

__all__ = ["ENGINES", "Engine", "Result", "make_engine"]


class Engine(Protocol):
    """Computes one frame at a time, in this process."""

    title: str
    """What the model card calls it."""

    @property
    def version(self) -> str:
        """Program and version, as recorded with every label."""
        ...

    @property
    def settings_hash(self) -> str:
        """Digest of all that decides the numbers; labels with different hashes never mix."""
        ...

    def calculate(self, atoms: Atoms, mesh_cell: np.ndarray | None = None) -> Result:
        """Label one configuration.

        Parameters
        ----------
        atoms : Atoms
        mesh_cell : ndarray, shape (3, 3), Å, optional
            Cell that decides the k-point mesh, so that a volume scan keeps one mesh.

        Returns
        -------
        Result
            Also where the calculation failed: status and reason say why.
        """
        ...

    @classmethod
    def problem(cls, settings: Any, elements: Sequence[str]) -> str | None:
        """What keeps the engine from working here and how to mend it, or None."""
        ...


ENGINES: dict[str, type[Any]] = {
    "gpaw": GpawEngine,
    "ase": AseCalculatorEngine,
    "vasp": VaspEngine,
    "espresso": EspressoEngine,
    "cp2k": Cp2kEngine,
    "abinit": AbinitEngine,
}


def make_engine(settings: Label) -> Engine:
    """Engine named by ``settings.engine`` with its own section of the settings.

    Raises
    ------
    EngineError
        The engine does not work in this environment.
    """
    factory = ENGINES[settings.engine]
    section = getattr(settings, settings.engine)
    problem = factory.problem(section, [])
    if problem:
        raise EngineError(f"label.engine: {settings.engine}: {problem}")
    return factory(section)
