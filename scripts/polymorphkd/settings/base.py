"""Base of all sections and the number types they share."""

from __future__ import annotations

from typing import Annotated

from ase.data import atomic_numbers
from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
ImportPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*\.[A-Za-z_]\w*$")]


def check_elements(symbols: list[str]) -> None:
    """Raise ValueError unless all are chemical symbols, each named once."""
    for symbol in symbols:
        if symbol not in atomic_numbers or symbol == "X":
            raise ValueError(f"{symbol!r} is not a chemical symbol")
    if len(set(symbols)) != len(symbols):
        raise ValueError("an element is named twice")
