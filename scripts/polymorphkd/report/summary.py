"""The report's numbers for programs: ``summary.json``."""

from __future__ import annotations

from typing import Any

from .collect import Run
from .costs import stage_costs


def counts(run: Run) -> dict[str, int | None]:
    """Frames per set; null for a set that this run does not have."""

    def size(name: str) -> int | None:
        return len(run.points[name]) if name in run.points else None

    failed = None if run.records is None else int((run.records["status"] != "ok").sum())
    return {
        "library": size("library"),
        "standard": size("standard"),
        "supplementary": size("supplementary"),
        "labelled": size("labelled"),
        "failed": failed,
        "test": int(run.errors["test"]["frames"]),
    }


def summarise(run: Run, commit: str, versions: dict[str, str]) -> dict[str, Any]:
    """Contents of summary.json.

    Returns
    -------
    dict
        material; ``rmse`` per model (energy and virial in meV/atom, force in meV/Å);
        ``properties`` per model and ``dft`` (a0_A, B0_GPa); ``counts`` of frames;
        ``seconds`` of wall time per stage, summed over its jobs; ``nve``; ``versions``;
        ``commit``.
    """
    return {
        "material": run.settings.material,
        "rmse": run.errors["rmse"],
        "properties": {
            name: {key: values[key] for key in ("a0_A", "B0_GPa")}
            for name, values in run.properties.items()
        },
        "counts": counts(run),
        "seconds": stage_costs(run.costs)["seconds"].round(1).to_dict(),
        "nve": run.nve,
        "versions": versions,
        "commit": commit or None,
    }
