"""The model card: what a student is, what it was judged by, and where its validity ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..label import ENGINES
from ..provenance import read_json
from ..settings import Deploy, Label, Student
from ..template import render


@dataclass(frozen=True)
class CardSources:
    """Files that hold the numbers of the card.

    Parameters
    ----------
    metrics : Path
        Of the student's training.
    errors : Path
        Of all models on the test set.
    properties : Path
        Equation of state by this student.
    dft : Path or None
        Equation of state by the labelling engine; None if labels came from outside.
    nve : Path
        Result of the LAMMPS run.
    """

    metrics: Path
    errors: Path
    properties: Path
    dft: Path | None
    nve: Path


RUNNING_ONLY = {
    *("command", "scratch", "keep", "frame_time", "frozen_time", "max_corrections"),
    "potential_folder",
}
"""Keys of an engine that decide where and how long it runs, and no label."""


def describe_labels(label: Label, own_file: str | None, pulay_virial: float = 0.0) -> str:
    """One line about the reference: the engine, what decides its numbers, what was taken off."""
    taken = f"; {pulay_virial:g} eV per atom taken off their virials" if pulay_virial else ""
    if own_file is not None:
        name = Path(own_file).name
        return f"brought from outside ({name}); see their origin for the method{taken}"
    values: Mapping[str, Any] = getattr(label, label.engine).model_dump(
        mode="json", exclude=RUNNING_ONLY
    )
    listed = ", ".join(f"{key} {value}" for key, value in values.items())
    return f"{ENGINES[label.engine].title}: {listed}{taken}"


def write_card(
    card: Path,
    template: Path,
    names: tuple[str, str],
    elements: list[str],
    sources: CardSources,
    student: Student,
    deploy: Deploy,
    labels: str,
) -> None:
    """Write ``MODEL_CARD.md``.

    Parameters
    ----------
    card, template : Path
        File to write and its Jinja2 template.
    names : tuple of str
        Material and variant.
    elements : list of str
        Types of the model in order.
    sources : CardSources
    student, deploy
        Settings that made the model and its check.
    labels : str
        See :func:`describe_labels`.
    """
    metrics, errors = read_json(sources.metrics), read_json(sources.errors)
    render(
        template,
        card,
        material=names[0],
        variant=names[1],
        elements=elements,
        version=__version__,
        metrics=metrics,
        seen=metrics["seen"],
        rmse=errors["rmse"],
        n_test=errors["test"]["frames"],
        own=read_json(sources.properties),
        dft=read_json(sources.dft) if sources.dft else None,
        nve=read_json(sources.nve),
        student=student,
        net=student.deepmd,
        deploy=deploy,
        label=labels,
    )
