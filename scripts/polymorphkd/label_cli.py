"""The command ``polymorphkd import-labels``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .options import validated

GATES = ("max_force", "max_pressure", "min_distance", "energy_window", "max_entropy")
"""Options that are gates of the settings; their defaults are those of the settings."""


def _run(arguments: argparse.Namespace) -> int:
    from .label_files import import_labels
    from .settings import Gates

    given = {name: getattr(arguments, name) for name in GATES}
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    optional = ("energy_window", "max_entropy")
    values |= {name: None for name in optional if given[name] == float("inf")}
    done = import_labels(
        arguments.inputs, arguments.output, arguments.records, validated(Gates, values),
        arguments.max_failed_fraction, arguments.force, arguments.same_mesh,
    )  # fmt: skip
    records = done.records
    for status, count in records["status"].value_counts().items():
        print(f"{count:8d}  {status}")
    accepted = records[records["status"] == "ok"]
    for note, count in accepted.loc[accepted["note"] != "", "note"].value_counts().items():
        print(f"note: {count} frames: {note}")
    bare = int((~accepted["has_stress"].astype(bool)).sum())
    if bare:
        print(f"note: {bare} frames have no stress; the students learn from forces alone there")
    print(f"{len(done.frames)} frames -> {arguments.output}; all rows -> {arguments.records}")
    return 0


def add_import_labels(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "import-labels", help="labels computed elsewhere, through the gates of the workflow"
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="FILE",
        help="OUTCAR, vasprun.xml, extended XYZ, DeePMD folders; compressed ones and globs too",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT",
        help="accepted frames: OUT.extxyz or OUT.parquet",
    )  # fmt: skip
    parser.add_argument(
        "--records", type=Path, required=True, metavar="FILE",
        help="a row for every frame, accepted or not: FILE.csv or FILE.parquet",
    )  # fmt: skip
    gates = parser.add_argument_group("gates (defaults as in label.gates; inf for none)")
    for name, unit in (
        ("max-force", "eV/Å"), ("max-pressure", "GPa"), ("min-distance", "Å"),
        ("energy-window", "eV/atom, from the median of the same composition"),
        ("max-entropy", "eV/atom, of the smearing"),
    ):  # fmt: skip
        gates.add_argument(f"--{name}", type=float, metavar="X", help=unit)
    gates.add_argument(
        "--max-failed-fraction", type=float, default=1.0, metavar="X",
        help="stop with a table where a larger share of the frames fails (1)",
    )  # fmt: skip
    parser.add_argument(
        "--same-mesh", action="store_true",
        help="refuse labels whose k-meshes no single k-spacing gives (default: a note)",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="overwrite files")
    parser.set_defaults(run=_run)
