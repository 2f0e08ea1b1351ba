"""Command line: ``polymorphkd doctor | convert | status | schema``.

Each command imports what it needs when it runs, so that help is instant.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import InputError, PolymorphKDError


def _doctor(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from .doctor import checks

    console = Console(soft_wrap=True)
    broken = False
    for check in checks(arguments.material):
        if check.ok:
            mark = "[green]ok     [/]"
        elif check.needed:
            mark = "[red]broken [/]"
            broken = True
        else:
            mark = "[yellow]missing[/]"
        console.print(f"{mark} {check.name:<30s}", end=" ")
        console.print(check.detail, markup=False, highlight=False)
        if not check.ok and check.fix:
            console.print(f"        -> {check.fix}", markup=False, highlight=False)
    console.print("something that is needed is broken" if broken else "all that is needed works")
    return int(broken)


def _convert(arguments: argparse.Namespace) -> int:
    from .convert import convert

    frames = convert(arguments.inputs, arguments.output, arguments.force)
    labelled = int((frames.energy == frames.energy).sum()) if frames.energy is not None else 0
    note = f", {labelled} of them labelled" if labelled else ""
    print(f"{len(frames)} frames{note} -> {arguments.output}")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from .status import headline, materials, stages

    results = Path("results")
    names = [arguments.material] if arguments.material else []
    if not names and results.is_dir():
        names = materials(results)
    missing = [name for name in names if not (results / name).is_dir()]
    if missing or not names:
        where = results / missing[0] if missing else results
        raise InputError(f"{where}: no such folder; run snakemake first, or go to where it ran")
    colours = {"done": "green", "running": "cyan", "missing": "dim", "skipped": "dim"}
    for name in names:
        table = Table("stage", "state", "frames", "last change", title=name, title_justify="left")
        for stage in stages(name):
            colour = colours.get(stage.state, "yellow")
            changed = f"{stage.modified:%Y-%m-%d %H:%M}" if stage.modified else ""
            table.add_row(stage.name, f"[{colour}]{stage.state}[/]", stage.count, changed)
        console = Console()
        console.print(table)
        for line in headline(name):
            console.print(line, highlight=False)
    return 0


def _schema(arguments: argparse.Namespace) -> int:
    from .schema import outdated, write_schema

    if arguments.check:
        stale = outdated()
        for path in stale:
            print(f"{path} does not match the settings; run `polymorphkd schema`")
        return int(bool(stale))
    for path in write_schema():
        print(f"wrote {path}")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="polymorphkd", description="Small tools around the workflow, which snakemake runs."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    doctor = commands.add_parser("doctor", help="what is installed, what works, how to mend it")
    doctor.add_argument("--material", help="check the engine of this material only")
    doctor.set_defaults(run=_doctor)

    convert = commands.add_parser("convert", help="frames from one format to another")
    convert.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="files to read")
    convert.add_argument("output", type=Path, metavar="OUT", help="file to write")
    convert.add_argument("--force", action="store_true", help="overwrite OUT")
    convert.set_defaults(run=_convert)

    status = commands.add_parser("status", help="how far each stage is")
    status.add_argument("--material", help="only this material")
    status.set_defaults(run=_status)

    schema = commands.add_parser("schema", help="write the JSON schema and the tables of keys")
    schema.add_argument("--check", action="store_true", help="only tell whether they are current")
    schema.set_defaults(run=_schema)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 1 for an expected error, 2 for a wrong call."""
    arguments = build_parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except PolymorphKDError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
