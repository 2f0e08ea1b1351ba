"""The learning curve that DeePMD writes while it trains."""

from __future__ import annotations

from pathlib import Path

from ..provenance import atomic_path

FINE_TUNE = "fine_tune"
"""Folder of the second run, inside that of the first."""

_COLUMNS = {
    "rmse_f_trn": "force_train_eV_per_A",
    "rmse_f_val": "force_valid_eV_per_A",
    "rmse_e_trn": "energy_train_eV_per_atom",
    "rmse_v_trn": "virial_train_eV_per_atom",
    "lr": "learning_rate",
}


def learning_curve(work: Path) -> dict[str, list[float]]:
    """Columns of ``lcurve.out``; of a step written twice (before and after a kill) the last.

    Returns
    -------
    dict
        ``step`` and the errors of one training and one validation batch at that step:
        ``force_train_eV_per_A`` and so on, and ``learning_rate``.
    """
    path = work / "lcurve.out"
    rows: dict[int, list[float]] = {}
    names: list[str] = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        if line.startswith("#"):
            names = names or line.lstrip("# ").split()
            continue
        values = line.split()
        if len(values) == len(names) and names:  # a kill can leave half a line
            rows[int(values[0])] = [float(value) for value in values]
    curve: dict[str, list[float]] = {"step": [float(step) for step in sorted(rows)]}
    for name, title in _COLUMNS.items():
        if name in names:
            curve[title] = [rows[step][names.index(name)] for step in sorted(rows)]
    return curve


def forget_after(work: Path, step: int) -> None:
    """Drop the lines of ``lcurve.out`` that come after `step`, from which a training goes on.

    They may tell of a divergence that is to be tried once more.
    """
    path = work / "lcurve.out"
    if not path.is_file():
        return
    lines = path.read_text().splitlines(keepends=True)
    kept = [
        line
        for line in lines
        if line.startswith("#") or (line.endswith("\n") and int(line.split()[0]) <= step)
    ]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(kept))


def student_curve(work: Path) -> dict[str, list[float]]:
    """Curve of the training in `work` and of the fine-tuning after it, steps counted through."""
    first = learning_curve(work)
    second = learning_curve(work / FINE_TUNE)
    if not second["step"]:
        return first
    second["step"] = [first["step"][-1] + step for step in second["step"]]
    return {name: values + second[name] for name, values in first.items()}
