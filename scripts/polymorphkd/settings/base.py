"""Base of all sections and the number types they share."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from ase.data import atomic_numbers
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads yes and on as true, which pydantic would take for 1; it refuses a text."""
        assert info.field_name is not None
        types = _leaves(cls.model_fields[info.field_name].annotation)
        if not types & {int, float} or types & {bool, Any}:
            return value
        if isinstance(value, list):
            return [_as_text(item) for item in value]
        if isinstance(value, dict):
            return {key: _as_text(item) for key, item in value.items()}
        return _as_text(value)


class FiniteSection(Section):
    """Section none of whose numbers may be infinite or NaN."""

    model_config = ConfigDict(allow_inf_nan=False)


def _as_text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _leaves(annotation: Any) -> set[Any]:
    """Types that a type is made of: {float, None} of float | None."""
    parts = get_args(annotation)
    return set().union(*map(_leaves, parts)) if parts else {annotation}


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
