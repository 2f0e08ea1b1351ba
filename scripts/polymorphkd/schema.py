"""Write the two views of the settings that are not code: a JSON schema and tables of keys.

Both come from :class:`settings.Settings`, so they cannot drift from what is accepted.  The
schema is for editors (``# yaml-language-server: $schema=...``): it names every key but asks
for none, because the workflow's configuration and a material's file each hold a part.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import ConfigError
from .provenance import PACKAGE, atomic_path
from .settings import Settings

ROOT = PACKAGE.parents[1]
SCHEMA_FILE = Path("workflow/schemas/config.schema.json")
TABLES_FILE = Path("config/README.md")
START, END = "<!-- keys:start -->", "<!-- keys:end -->"
MISSING = object()
"""Stands for a key without default, because null is a default too."""


def json_schema() -> dict[str, Any]:
    """JSON schema of config/config.yaml and of the files in config/materials."""
    schema = Settings.model_json_schema()
    del schema["required"]
    materials = {
        "description": "Materials to run, each with a file config/materials/<name>.yaml "
        "(config/config.yaml only)",
        "items": {"type": "string"},
        "minItems": 1,
        "type": "array",
    }
    schema["properties"] = {"materials": materials, **schema["properties"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _branches(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return spec.get("anyOf", [spec])


def _section(spec: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any] | None:
    """Definition that a property refers to, where it is a section of its own."""
    for branch in _branches(spec):
        if "$ref" in branch:
            return definitions[branch["$ref"].rsplit("/", 1)[1]]
    return None


def _values(branch: dict[str, Any]) -> dict[str, Any]:
    """What the entries of a list or the values of a mapping are."""
    named = [branch.get("additionalProperties"), *branch.get("patternProperties", {}).values()]
    found = (spec for spec in (branch.get("items"), *named) if isinstance(spec, dict))
    return next(found, {})


def _entry(spec: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any] | None:
    """Definition of the entries of a property, where it is a list or mapping of sections."""
    found = (_section(_values(branch), definitions) for branch in _branches(spec))
    return next((section for section in found if section is not None), None)


def _type(spec: dict[str, Any]) -> str:
    if "anyOf" in spec:
        return " or ".join(_type(branch) for branch in spec["anyOf"])
    if "$ref" in spec:
        return "mapping"
    if "const" in spec:
        return f"`{spec['const']}`"
    if spec["type"] == "array" and "prefixItems" in spec:
        return f"{len(spec['prefixItems'])} × {_type(spec['prefixItems'][0])}"
    if spec["type"] == "array":
        return f"list of {_type(spec['items'])}"
    if spec["type"] == "object":
        values = spec.get("additionalProperties")
        return f"mapping to {_type(values)}" if isinstance(values, dict) else "mapping"
    return {"string": "text", "boolean": "true/false"}.get(spec["type"], spec["type"])


def _range(spec: dict[str, Any]) -> str:
    """Allowed values of a property, or of its items."""
    parts: list[str] = []
    for branch in _branches(spec):
        if "enum" in branch:
            parts.append(", ".join(f"`{value}`" for value in branch["enum"]))
        if "pattern" in branch:
            parts.append(f"matches `{branch['pattern']}`")
        bounds = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
        parts.extend(f"{sign} {branch[key]:g}" for key, sign in bounds.items() if key in branch)
        values = branch.get("additionalProperties")
        inner = branch.get("items") or (branch.get("prefixItems") or [values])[0]
        if isinstance(inner, dict) and _range(inner):
            parts.append(f"each {_range(inner)}")
        if branch.get("minItems") and "prefixItems" not in branch:
            parts.append(f"at least {branch['minItems']}")
    return ", ".join(parts)


def _default(value: Any) -> str:
    return "required" if value is MISSING else f"`{json.dumps(value, ensure_ascii=False)}`"


def _row(name: str, spec: dict[str, Any], default: Any) -> str:
    cells = (f"`{name}`", _type(spec), _default(default), _range(spec), spec["description"])
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _tables(
    section: dict[str, Any], path: str, defaults: Any, definitions: dict[str, Any]
) -> Iterator[str]:
    """Table of a section's own keys, then those of the sections inside it."""
    rows, inner = [], []
    for name, spec in section["properties"].items():
        default = spec.get("default", MISSING)
        if isinstance(defaults, dict):
            default = defaults.get(name, default)
        entry = _entry(spec, definitions)
        if entry is not None:
            rows.append(_row(name, spec, default))
            each = "[]" if spec.get("type") != "object" else ".<name>"
            where = f"{path}.{name}{each}".lstrip(".")
            inner.append((where, f"Each entry of `{name}`", entry, MISSING))
            continue
        child = _section(spec, definitions)
        if child is None:
            rows.append(_row(name, spec, default))
        else:
            inner.append((f"{path}.{name}".lstrip("."), spec["description"], child, default))
    if rows:
        head = ["| key | type | default | allowed | meaning |", "|---|---|---|---|---|"]
        yield "\n".join(head + rows)
    for inner_path, description, child, default in inner:
        yield f"### `{inner_path}`\n\n{description}."
        yield from _tables(child, inner_path, default, definitions)


def key_tables() -> str:
    """Markdown tables of every key: type, default, allowed values, meaning with unit."""
    schema = Settings.model_json_schema()
    return "\n\n".join(_tables(schema, "", None, schema["$defs"]))


def rendered(root: Path) -> dict[Path, str]:
    """Text that each generated file should hold, by its path below `root`."""
    path = root / TABLES_FILE
    text = path.read_text() if path.is_file() else ""
    if START not in text or END not in text:
        raise ConfigError(f"{path}: needs the lines {START} and {END} around its tables of keys")
    before, after = text.split(START)[0], text.split(END)[1]
    return {
        SCHEMA_FILE: json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
        TABLES_FILE: f"{before}{START}\n\n{key_tables()}\n\n{END}{after}",
    }


def outdated(root: Path = ROOT) -> list[Path]:
    """Generated files whose text differs from what the settings ask for."""
    return [
        path
        for path, text in rendered(root).items()
        if not (root / path).is_file() or (root / path).read_text() != text
    ]


def write_schema(root: Path = ROOT) -> list[Path]:
    """Bring the generated files up to date; returns those that changed."""
    texts = rendered(root)
    changed = outdated(root)
    for path in changed:
        with atomic_path(root / path) as temporary:
            temporary.write_text(texts[path])
    return changed
