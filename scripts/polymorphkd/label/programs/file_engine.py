"""What engines share whose potentials are one file per element in a folder of the user."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ...provenance import file_digest
from ...settings import Abinit, Espresso
from .engine import ProgramEngine
from .potentials import folder_of, folder_problem, missing_file

F = TypeVar("F", Abinit, Espresso)


class FileEngine(ProgramEngine[F]):
    """Potentials by file name, in ``potential_folder`` or the folder that a variable names."""

    variable: ClassVar[str]
    """Environment variable of the folder."""
    file_example: ClassVar[str]
    """What follows the element in the name of a file, for messages."""

    @classmethod
    def elements(cls, settings: F) -> Sequence[str]:
        return list(settings.potentials)

    @classmethod
    def example(cls, symbol: str) -> str:
        return f"for example potentials: {{{symbol}: {symbol}{cls.file_example}}}"

    @classmethod
    def file_problem(cls, settings: F) -> str | None:
        folder = folder_of(settings.potential_folder, cls.variable)
        if folder is None or not folder.is_dir():
            return folder_problem(cls.name, folder, cls.variable)
        return missing_file(cls.name, folder, settings.potentials.values())

    def _folder(self) -> Path:
        return folder_of(self.settings.potential_folder, self.variable) or Path()

    def file_digests(self) -> dict[str, Any]:
        files = self.settings.potentials
        return {symbol: file_digest(self._folder() / file) for symbol, file in files.items()}
