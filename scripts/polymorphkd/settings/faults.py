"""What is wrong with given settings: the key, the fault and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

Key = tuple[int | str, ...]

EXPECTED = {
    "list_type": "expected a list such as [a, b]",
    "tuple_type": "expected a list such as [a, b]",
    "dict_type": "expected keys and values",
    "int_parsing": "expected an integer",
    "int_type": "expected an integer",
    "int_from_float": "expected an integer",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "finite_number": "expected a finite number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "string_type": "expected text",
}
"""Own words where pydantic speaks of Python."""


@dataclass(frozen=True)
class Fault:
    """One fault: where, what, what stands there, and whether the key itself is unknown."""

    key: Key
    text: str
    given: str = ""
    unknown: bool = False

    @property
    def message(self) -> str:
        """What is wrong, without the key."""
        return f"{self.text} (given: {self.given})" if self.given else self.text

    def __str__(self) -> str:
        return f"{'.'.join(str(part) for part in self.key)}: {self.message}"


class Faults(ValueError):
    """Raised by a section that finds faults in sections which it makes itself.

    Their keys count from the section that raises.
    """

    def __init__(self, found: Sequence[Fault]) -> None:
        super().__init__("; ".join(map(str, found)))
        self.found = list(found)


def faults(error: ValidationError, section: type[BaseModel]) -> list[Fault]:
    """Faults of the values of a section, one per key and kind of fault."""
    found: dict[tuple[Key, Any], list[Fault]] = {}
    for item in error.errors():
        key, alternative = _key(item["loc"], section)
        inner = item.get("ctx", {}).get("error")
        if isinstance(inner, Faults):
            new = [replace(fault, key=key + fault.key) for fault in inner.found]
        else:
            new = [_fault(item, key, section)]
        for fault in new:
            # The members of a union fail one by one: one fault, joined by "or".
            group = (fault.key, None if alternative else fault.text)
            found.setdefault(group, []).append(fault)
    return [_joined(group) for group in found.values()]


def _joined(group: list[Fault]) -> Fault:
    first, *others = group
    allowed = dict.fromkeys(fault.text.removeprefix("must be ") for fault in others)
    return replace(first, text=" or ".join([first.text, *allowed]))


def _fault(item: Mapping[str, Any], key: Key, section: type[BaseModel]) -> Fault:
    kind, given = item["type"], repr(item["input"])
    if kind == "extra_forbidden":
        allowed = ", ".join(_allowed(key[:-1], section))
        return Fault(key, f"unknown key; allowed here: {allowed}", unknown=True)
    if kind == "missing" and key and isinstance(key[-1], int):
        return Fault(key[:-1], "too few values", given)
    if kind in ("model_type", "model_attributes_type"):
        allowed = ", ".join(_allowed(key, section))
        return Fault(key, f"expected keys and values; allowed here: {allowed}", given)
    if kind in ("too_short", "too_long"):
        bound, number = ("least", "min_length") if kind == "too_short" else ("most", "max_length")
        return Fault(key, f"expected at {bound} {item['ctx'][number]} value(s)", given)
    text = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return Fault(key, EXPECTED.get(kind, text), "" if isinstance(item["input"], dict) else given)


def _key(location: Key, section: type[BaseModel]) -> tuple[Key, bool]:
    """Location without pydantic's names for the members of a union, and whether it had one."""
    key: list[int | str] = []
    model: Any = section
    for place, part in enumerate(location):
        inside, known = _inside(model, part)
        last = place == len(location) - 1
        if known or (last and _is_section(model)):  # the last one may be an unknown key
            key.append(part)
            model = inside
    return tuple(key), len(key) < len(location)


def _inside(model: Any, part: int | str) -> tuple[Any, bool]:
    """Type of what lies under a key, and whether there is such a key."""
    for candidate in (model, *get_args(model)):
        if part in getattr(candidate, "model_fields", {}):
            return candidate.model_fields[part].annotation, True
        origin = get_origin(candidate)
        if isinstance(part, int) and origin in (list, tuple):
            return get_args(candidate)[0], True
        if isinstance(part, str) and origin is dict:
            return get_args(candidate)[1], True
    return model, False


def _is_section(model: Any) -> bool:
    return any(hasattr(part, "model_fields") for part in (model, *get_args(model)))


def _allowed(key: Key, section: type[BaseModel]) -> list[str]:
    """Keys of the section at `key`."""
    model: Any = section
    for part in key:
        model, _ = _inside(model, part)
    # Optional sections: take the section out of the union.
    candidates = (model, *get_args(model))
    found: Any = next((c for c in candidates if hasattr(c, "model_fields")), model)
    return sorted(getattr(found, "model_fields", {}))
