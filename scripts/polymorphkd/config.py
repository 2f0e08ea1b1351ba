"""Settings of the run: merging, validation, and one message per fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from .errors import ConfigError
from .settings import Settings
from .settings.faults import Key, faults


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Recursive merge of two mappings; the overlay wins, lists are replaced whole."""
    result = dict(base)
    for key, value in overlay.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = merge(old, value)
        else:
            result[key] = value
    return result


COMMAND_LINE = "command line (--config, --configfile)"


def validate(values: Mapping[str, Any], where: str | Callable[[Key, bool], str]) -> Settings:
    """Validated settings with all defaults filled.

    Parameters
    ----------
    values : mapping
    where : str or callable
        Where the values are from; a callable says it for a key, and hears whether it is unknown.

    Raises
    ------
    ConfigError
        With `where`, the key's path, what is wrong and what is allowed, one line per fault.
    """
    try:
        return Settings.model_validate(dict(values))
    except ValidationError as error:
        lines = []
        for fault in faults(error, Settings):
            source = where if isinstance(where, str) else where(fault.key, fault.unknown)
            lines.append(f"{source}: {fault}")
        raise ConfigError("\n  ".join(lines)) from None


def _sources(layers: Mapping[str, Mapping[str, Any]], key: Key, unknown: bool) -> str:
    """Names of the layers that decide the value of a key, or of the section it is missing in.

    Of a value the last layer that has it; of a section, which is merged, and of an unknown
    key all that have it.
    """
    while key:
        found = {name: value for name, layer in layers.items() for value in _at(layer, key)}
        if found:
            names = list(found)
            merged = isinstance(found[names[-1]], Mapping)
            return " + ".join(names if merged or unknown else names[-1:])
        key = key[:-1]
    return " + ".join(layers)


def _at(layer: Mapping[str, Any], key: Key) -> list[Any]:
    """The value of a key, if the layer has it; of a place in a list, the list."""
    value: Any = layer
    for part in key:
        if not isinstance(value, Mapping):
            break
        if part not in value:
            return []
        value = value[part]
    return [value]


def _without(layer: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What `layer` has and `other` has not, or has otherwise."""
    left = {}
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(other.get(key), Mapping):
            value = _without(value, other[key])
            if not value:
                continue
        elif key in other and other[key] == value:
            continue
        left[key] = value
    return left


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Mapping in a YAML file; an empty file is an empty mapping."""
    path = Path(path)
    try:
        value = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(value).__name__}")
    return value


def material_names(config: Mapping[str, Any]) -> list[str]:
    """The list under ``materials`` of the workflow's configuration."""
    names = config.get("materials")
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise ConfigError(
            f"config/config.yaml: materials: expected a list such as [Al] (given: {names!r})"
        )
    return list(dict.fromkeys(names))


def load_settings(
    config: Mapping[str, Any],
    material: str,
    folder: str | Path,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings of one material.

    Later ones win: defaults <- workflow config <- ``folder/<material>.yaml`` <- overrides.

    Parameters
    ----------
    config : mapping
        The workflow's configuration (config/config.yaml and --config); its key
        ``materials`` is ignored here.
    material : str
        Name of the material and stem of its file.
    folder : path
        Folder of the material files.
    overrides : mapping, optional
        Values given on the command line (``--config``).

    Raises
    ------
    ConfigError
        See :func:`validate`; also where the material has no file.
    """
    path = Path(folder) / f"{material}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in Path(folder).glob("*.yaml"))
        raise ConfigError(
            f"materials: {material!r} has no file {path}; available: {', '.join(known) or 'none'}"
        )
    overrides = overrides or {}
    common = str(Path(folder).parent / "config.yaml")
    # Snakemake has merged the command line into `config` already.
    layers: dict[str, Mapping[str, Any]] = {
        common: _without(config, overrides),
        str(path): read_yaml(path),
    }
    if overrides:
        layers[COMMAND_LINE] = overrides
    _check_names(layers, str(path))
    values: dict[str, Any] = {"material": material}
    for layer in layers.values():
        values = merge(values, {k: v for k, v in layer.items() if k != "materials"})
    return validate(values, partial(_sources, layers))


def _check_names(layers: Mapping[str, Mapping[str, Any]], path: str) -> None:
    for name, layer in layers.items():
        if "material" in layer:
            raise ConfigError(f"{name}: material: is the name of the file in config/materials")
    if "materials" in layers[path]:
        raise ConfigError(f"{path}: materials: belongs into config.yaml or after --config")
