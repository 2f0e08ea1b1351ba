"""The learning curve that DeePMD writes while it trains."""

from __future__ import annotations

from pathlib import Path

_COLUMNS = {
    "rmse_f_trn": "force_train_eV_per_A",
    "rmse_f_val": "force_valid_eV_per_A",
    "rmse_e_trn": "energy_train_eV_per_atom",
    "rmse_v_trn": "virial_train_eV_per_atom",
    "lr": "learning_rate",
}

TRAINED = ("energy_train_eV_per_atom", "force_train_eV_per_A", "virial_train_eV_per_atom")
VALID = "force_valid_eV_per_A"


def table(path: Path) -> tuple[list[str], list[list[float]]]:
    """Names of the columns, and rows in the order of the steps, of one of DeePMD's curve files.

    Of a step written twice (before and after a kill) the last row counts; a file that is
    absent, or has only half a line, is no error.
    """
    rows: dict[int, list[float]] = {}
    names: list[str] = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        if line.startswith("#"):
            names = names or line.lstrip("# ").split()
            continue
        values = line.split()
        if len(values) == len(names) and names:  # a kill can leave half a line
            rows[int(values[0])] = [float(value) for value in values]
    return names, [rows[step] for step in sorted(rows)]


def learning_curve(work: Path) -> dict[str, list[float]]:
    """Columns of ``lcurve.out``.

    Returns
    -------
    dict
        ``step`` and the errors of one training and one validation batch at that step:
        ``force_train_eV_per_A`` and so on, and ``learning_rate``.
    """
    names, rows = table(work / "lcurve.out")
    curve: dict[str, list[float]] = {"step": [row[0] for row in rows]}
    for name, title in _COLUMNS.items():
        if name in names:
            curve[title] = [row[names.index(name)] for row in rows]
    return curve
