"""The commands ``polymorphkd import-labels`` and ``polymorphkd aimd-deck``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .errors import InputError
from .options import at_least, validated

GATES = ("max_force", "max_pressure", "min_distance", "energy_window", "max_entropy")
"""Options that are gates of the settings; their defaults are those of the settings."""


def _run(arguments: argparse.Namespace) -> int:
    from .label_files import import_labels
    from .pulay import pulay_virial
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
        print(f"note: {bare} frames have no stress; the students learn energies and forces there")
    found = pulay_virial(done.frames)
    if found is not None and found.telling:
        print(f"note: {found.advice()}")
    print(f"{len(done.frames)} frames -> {arguments.output}; all rows -> {arguments.records}")
    return 0


def add_import_labels(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "import-labels", help="labels computed elsewhere, through the gates of the workflow"
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="FILE",
        help="OUTCAR, vasprun.xml, ML_AB, extended XYZ, DeePMD folders; compressed ones, globs",
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


def _write_deck(arguments: argparse.Namespace) -> int:
    from .config import read_yaml, validate
    from .label.vasp.aimd import write_deck
    from .readers import read_frames
    from .seeds.melt_quench import is_prototype, start_cell

    values: dict[str, Any] = read_yaml(arguments.settings) if arguments.settings else {}
    values.setdefault("material", arguments.settings.stem if arguments.settings else "aimd")
    if "elements" not in values:
        if is_prototype(arguments.structure):
            raise InputError(
                f"{arguments.structure}: of which element? name the material's file: --settings"
            )
        values["elements"] = sorted(set(read_frames(arguments.structure).atoms(0).symbols))
    settings = validate(values, str(arguments.settings or arguments.structure))
    cell = start_cell(settings, arguments.structure)
    deck = write_deck(arguments.output, cell, settings, arguments.pieces, arguments.free_shape)
    steps = sum(piece.steps for piece in deck.pieces)
    print(f"{len(cell)} atoms, {steps} steps in {len(deck.pieces)} pieces -> {arguments.output}")
    if deck.problem:
        print(f"note: POTCAR is not written: {deck.problem}")
    print(f"how to run it: {arguments.output}/README.md")
    return 0


def add_aimd_deck(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "aimd-deck", help="inputs of a melt-quench in VASP that learns its force field"
    )
    parser.add_argument(
        "structure", metavar="STRUCTURE", help="file (its last structure), or a prototype like fcc"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--settings", type=Path, metavar="FILE",
        help="material file: label.vasp for the electrons, seeds.md for the schedule",
    )  # fmt: skip
    parser.add_argument(
        "--pieces", type=at_least(1), default=10, metavar="N", help="runs of each stage (10)"
    )
    parser.add_argument(
        "--free-shape", action="store_true", help="no ICONST: the cell may change its shape"
    )
    parser.set_defaults(run=_write_deck)
