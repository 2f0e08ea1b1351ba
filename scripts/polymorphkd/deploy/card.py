"""The model card: what a student is, what it was judged by, and where its validity ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def describe_teacher(metrics: Sequence[Path], own_files: Sequence[str]) -> str:
    """One line about what the student learned from: family, committee, frames, foundation.

    Parameters
    ----------
    metrics : sequence of Path
        Of the trainings of the committee; empty if its models came from outside, or if the
        student learned from DFT alone.
    own_files : sequence of str
        Models that came from outside.
    """
    if own_files:
        names = ", ".join(Path(file).name for file in own_files)
        return f"brought from outside ({names}); see their origin for data and licence"
    if not metrics:
        return "none"
    first, *others = (read_json(file) for file in metrics)
    versions = ", ".join(f"{name} {number}" for name, number in first["versions"].items())
    frames = first["n_frames"]
    models = f"{len(others) + 1} models" if others else "one model"
    text = (
        f"{models} of kind {first['kind']} ({versions}), trained on {frames['train']} "
        f"configurations labelled by DFT and watched on {frames['valid']}"
    )
    if foundation := first.get("foundation"):
        text += (
            f"; the training started from the weights of {foundation['file']} (digest "
            f"{foundation['digest']}), whose licence may bind this model as well"
        )
    return text


def write_card(
    card: Path,
    template: Path,
    names: tuple[str, str],
    elements: list[str],
    sources: CardSources,
    student: Student,
    deploy: Deploy,
    labels: str,
    teacher: str,
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
    labels, teacher : str
        See :func:`describe_labels` and :func:`describe_teacher`.
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
        pod=student.pod,
        deploy=deploy,
        label=labels,
        teacher=teacher,
    )
