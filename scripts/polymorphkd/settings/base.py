"""Base of all sections and the number types they share."""

from __future__ import annotations

from typing import Annotated, Any

from ase.data import atomic_numbers
from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
ImportPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*\.[A-Za-z_]\w*$")]


def faults(error: ValidationError, section: type[Section]) -> list[str]:
    """What is wrong with the values of a section: a line per fault with the path of the key."""
    lines = []
    for item in error.errors():
        path, kind = item["loc"], item["type"]
        text = item["msg"].removeprefix("Value error, ")
        if kind == "extra_forbidden":
            text = f"unknown key; allowed here: {', '.join(_allowed(path[:-1], section))}"
        elif kind == "missing" and path and isinstance(path[-1], int):
            path, text = path[:-1], f"too few values (given: {item['input']!r})"
        elif kind in ("model_type", "model_attributes_type"):
            allowed = ", ".join(_allowed(path, section))
            text = f"expected keys and values; allowed here: {allowed} (given: {item['input']!r})"
        elif not isinstance(item["input"], dict):
            text = f"{text} (given: {item['input']!r})"
        lines.append(f"{'.'.join(str(part) for part in path)}: {text}")
    return lines


def _allowed(path: tuple[int | str, ...], section: type[Section]) -> list[str]:
    """Keys of the section at `path`."""
    model: Any = section
    for part in path:
        if part in getattr(model, "model_fields", {}):
            model = model.model_fields[part].annotation
        # Optional sections: take the section out of the union.
        candidates = [model, *getattr(model, "__args__", ())]
        model = next((c for c in candidates if hasattr(c, "model_fields")), model)
    return sorted(getattr(model, "model_fields", {}))


def check_elements(symbols: list[str]) -> None:
    """Raise ValueError unless all are chemical symbols, each named once."""
    for symbol in symbols:
        if symbol not in atomic_numbers or symbol == "X":
            raise ValueError(f"{symbol!r} is not a chemical symbol")
    if len(set(symbols)) != len(symbols):
        raise ValueError("an element is named twice")
