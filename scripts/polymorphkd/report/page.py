"""The page: all sections in one HTML file that needs no other file and no network."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..provenance import atomic_path
from .collect import Run
from .data_sections import label_section, landscape_section
from .model_sections import (
    error_section,
    nve_section,
    property_section,
    result_section,
    training_section,
)
from .run_sections import cost_section, provenance_section
from .verdict import headline, targets


def render(run: Run, template: Path, commit: str, versions: dict[str, str]) -> str:
    """HTML of the report.

    Parameters
    ----------
    run : Run
    template : Path
        Jinja2 template; every block of every section is handed to it.
    commit : str
        Git commit of the code, empty if unknown.
    versions : dict
        Versions by name.
    """
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [
        result_section(run),
        landscape_section(run),
        label_section(run),
        error_section(run),
        training_section(run),
        property_section(run),
        nve_section(run),
        cost_section(run),
        provenance_section(run, commit, versions),
    ]
    return environment.get_template(template.name).render(
        material=run.settings.material,
        elements=run.settings.elements,
        headline=headline(run),
        targets=targets(run),
        sections=sections,
        folder=run.folder.as_posix(),
        commit=commit,
        version=versions["polymorphkd"],
    )


def write_page(path: str | Path, html: str) -> None:
    """Write the page atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
