"""Text files from Jinja2 templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from .provenance import PACKAGE, atomic_path

TEMPLATES = PACKAGE.parents[1] / "workflow" / "templates"


def render(template: Path, output: Path, **values: Any) -> None:
    """Fill `template` with `values` and write `output`; a missing value is an error."""
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    text = environment.from_string(template.read_text()).render(**values)
    with atomic_path(output) as path:
        path.write_text(text)
