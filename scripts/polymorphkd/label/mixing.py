"""Labels of different methods must not meet in one set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .external import NOT_RECORDED, External
from .vasp.output import RunSettings


def mixture(accepted: Sequence[External]) -> str | None:
    """What to say where labels were not all made alike, else None.

    Returns
    -------
    str
        A table of the groups: how many frames each has, its settings, and a file.
    """
    groups: dict[str, list[External]] = {}
    for one in accepted:
        groups.setdefault(_text(_common(one.settings)), []).append(one)
    if len(groups) > 1:
        return _message("with different settings meet", groups)
    by_element: dict[str, dict[str, list[External]]] = {}
    for one in accepted:
        if isinstance(one.settings, RunSettings):
            for symbol, text in one.settings.of_elements().items():
                by_element.setdefault(symbol, {}).setdefault(text, []).append(one)
    for symbol, found in by_element.items():
        if len(found) > 1:
            return _message(f"of {symbol} with different potentials or U meet", found)
    return None


def _common(settings: RunSettings | str) -> dict[str, Any]:
    if isinstance(settings, RunSettings):
        return settings.common()
    return {"settings": settings}


def _text(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _message(what: str, groups: dict[str, list[External]]) -> str:
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    rows = "\n".join(f"  {len(ones):6d}  {text}  ({ones[0].file})" for text, ones in ordered)
    unknown = NOT_RECORDED in rows
    return (
        f"import-labels: labels {what}; a set must be labelled with one method:\n{rows}\n"
        "import each group on its own"
        + ("; labels whose settings no file tells are a group too" if unknown else "")
    )
