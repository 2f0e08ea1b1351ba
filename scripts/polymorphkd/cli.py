"""Command line: ``polymorphkd map | generate | select | coverage | plot | convert | ...``.

Each command imports what it needs when it runs, so that help is instant.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import run_commands
from .errors import InputError, PolymorphKDError
from .label_cli import add_aimd_deck, add_import_labels
from .options import (
    LANDSCAPE,
    add_landscape_options,
    add_selection_options,
    at_least,
    landscape_settings,
    selection_settings,
    validated,
)


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
    from .readers import Broken

    broken: list[Broken] | None = [] if arguments.skip_broken else None
    frames = convert(arguments.inputs, arguments.output, arguments.force, broken)
    for one in broken or []:
        print(f"left out: {one.path}, frame {one.index}: {one.reason}", file=sys.stderr)
    labelled = int((frames.energy == frames.energy).sum()) if frames.energy is not None else 0
    note = f", {labelled} of them labelled" if labelled else ""
    print(f"{len(frames)} frames{note} -> {arguments.output}")
    return 0


def _map(arguments: argparse.Namespace) -> int:
    from .landscape.mapping import number_of_threads
    from .map_files import map_files
    from .progress import mapping_progress

    settings = landscape_settings(arguments)
    with mapping_progress() as report:
        done = map_files(
            arguments.inputs, arguments.output, settings, arguments.keep,
            arguments.threads or number_of_threads(), arguments.force, report, arguments.per_atom,
        )  # fmt: skip
    left_out = f", {len(done.broken)} broken ones left out" if done.broken else ""
    cutoff = f"cutoff {done.cutoff:g} Å" if not settings.nearest else f"{settings.nearest} nearest"
    print(f"{done.n_frames} frames{left_out} ({cutoff}) -> {arguments.output}")
    return 0


def _select(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from .landscape.mapping import number_of_threads
    from .progress import mapping_progress
    from .provenance import write_json
    from .select_files import select_files, table

    rounds, choice = selection_settings(arguments)
    given = any(getattr(arguments, name) is not None for name in LANDSCAPE)
    with mapping_progress() as report:
        selection = select_files(
            arguments.inputs, arguments.output, rounds, choice, arguments.seed,
            landscape_settings(arguments) if given else None,
            arguments.threads or number_of_threads(), arguments.force, report,
        )  # fmt: skip
    Console().print(table(selection.report))
    if arguments.json:
        write_json(arguments.json, selection.report)
    for path in arguments.output:
        print(f"{len(selection.of(str(path))):,} frames -> {path}")
    return 0


def _generate(arguments: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import Progress

    from .config import read_yaml
    from .generate_files import generate_files
    from .landscape.mapping import number_of_threads
    from .settings import Generate

    values: dict[str, Any] = read_yaml(arguments.settings) if arguments.settings else {}
    # A material file has sections; a file of the generator alone has its keys.
    points = (values.get("landscape") or {}) if "generate" in values else {}
    values = dict((values["generate"] or {}) if "generate" in values else values)
    if arguments.strategy or not values:
        values["strategy"] = arguments.strategy or "fill"
    if arguments.budget is not None:
        values["evaluations"] = arguments.budget
    settings = validated(Generate, values, "generate.{}")
    if arguments.budget is not None and settings.strategy == "edges":
        raise InputError("--budget: edges is sized by targets, generations and population")
    landscape = landscape_settings(arguments, points)
    processes = arguments.threads or number_of_threads()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(settings.strategy, total=None)
        done = generate_files(
            arguments.seeds, arguments.output, settings, landscape, arguments.seed, processes,
            arguments.figure, arguments.force,
            lambda n, total: progress.update(task, completed=n, total=total),
        )  # fmt: skip
    tried = sum(done.outcome["mutants"].values())
    reasons = ", ".join(f"{name} {count:,}" for name, count in done.outcome["mutants"].items())
    ended = ", ".join(f"{name} {count}" for name, count in done.outcome["ended"].items())
    print(f"{tried:,} mutants ({reasons}); searches ended: {ended}")
    print(
        f"{done.n_cells:,} of {settings.grid**2:,} cells filled, {done.n_seed_cells:,} of them "
        f"by seeds (cutoff {done.cutoff:g} Å)"
    )
    if done.n_unfit:
        print(
            f"{done.n_unfit:,} seeds break generate.constraints: they are in the library as they "
            "are, but have no descendants"
        )
    print(f"{done.n_frames:,} frames -> {arguments.output}")
    return 0


def _substitute(arguments: argparse.Namespace) -> int:
    from .convert import check_output, write
    from .generate.substitute import substitute
    from .readers import read_frames

    pairs = [pair.partition("=") for pair in arguments.elements]
    wrong = [f"{old}{sign}{new}" for old, sign, new in pairs if not (old and sign and new)]
    if wrong:
        raise InputError(f"{wrong[0]}: expected OLD=NEW, such as Ir=Al")
    twice = {old for old, _, _ in pairs if sum(old == other for other, _, _ in pairs) > 1}
    if twice:
        raise InputError(f"{sorted(twice)[0]}: is replaced twice; name each element once")
    check_output(arguments.output, arguments.force)
    frames = substitute(
        read_frames(arguments.input), {old: new for old, _, new in pairs}, arguments.volume
    )
    write(arguments.output, frames)
    print(f"{len(frames)} frames -> {arguments.output}")
    return 0


def _warm_up(arguments: argparse.Namespace) -> int:
    import time

    from .warm_up import warm_up

    started = time.monotonic()
    warm_up()
    print(f"kernels compiled or found in the cache in {time.monotonic() - started:.1f} s")
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


def _coverage(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from .coverage import coverage_report, tables
    from .landscape.tables import read_sets
    from .provenance import write_json

    sets = read_sets(arguments.points, arguments.labels)
    report = coverage_report(sets, arguments.resolution, arguments.grid, arguments.box)
    console = Console()
    for table in tables(report):
        console.print(table)
    if arguments.json:
        write_json(arguments.json, report)
    return 0


def _plot(arguments: argparse.Namespace) -> int:
    from .plots.figure import Options, plot

    options = Options(
        kind=arguments.kind,
        color=arguments.color,
        title=arguments.title,
        limits=arguments.limits,
        structures=arguments.structures,
    )
    print(plot(arguments.points, arguments.output, options, arguments.labels))
    return 0


def _add_coverage(commands: argparse._SubParsersAction) -> None:
    coverage = commands.add_parser("coverage", help="how sets of points fill the landscape")
    coverage.add_argument(
        "points", nargs="+", type=Path, metavar="POINTS", help="tables of `polymorphkd map`"
    )
    size = coverage.add_mutually_exclusive_group()
    size.add_argument(
        "--resolution", nargs=2, type=float, metavar=("DSS", "DQ6"),
        help="edges of a cell: sS in kB per atom, and Q6; the grid is anchored at 0",
    )  # fmt: skip
    size.add_argument(
        "--grid", type=int, metavar="N", help="N x N cells over the common box (default: 20)"
    )
    coverage.add_argument(
        "--box", nargs=4, type=float, metavar=("SS0", "SS1", "Q0", "Q1"),
        help="box of the grid instead of that around all points",
    )  # fmt: skip
    coverage.add_argument("--labels", nargs="+", metavar="NAME", help="a name for every table")
    coverage.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    coverage.set_defaults(run=_coverage)


def _add_plot(commands: argparse._SubParsersAction) -> None:
    plot = commands.add_parser("plot", help="figure of points, or a page to explore them")
    plot.add_argument(
        "points", nargs="+", type=Path, metavar="POINTS", help="tables of `polymorphkd map`"
    )
    plot.add_argument(
        "-o", "--output", required=True, type=Path, metavar="OUT",
        help=".png, .svg, .pdf, or .html for a page that shows structures on a click",
    )  # fmt: skip
    plot.add_argument(
        "--kind", choices=["scatter", "density"],
        help="points or their density (default: density above 20,000 points)",
    )  # fmt: skip
    plot.add_argument(
        "--color", metavar="COLUMN", help="a column of the table, `source` or `density`"
    )
    plot.add_argument("--labels", nargs="+", metavar="NAME", help="a name for every table")
    plot.add_argument("--title", help="title of the figure")
    plot.add_argument(
        "--limits", nargs=4, type=float, metavar=("SS0", "SS1", "Q0", "Q1"),
        help="what the axes show",
    )  # fmt: skip
    plot.add_argument(
        "--structures", type=int, default=500, metavar="N",
        help="structures that a page carries with it, evenly over the landscape (default: 500)",
    )  # fmt: skip
    plot.set_defaults(run=_plot)


def _add_map(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("map", help="landscape points (sS, Q6) of structure files")
    parser.add_argument("inputs", nargs="+", metavar="FILE", help="files, globs, DeePMD folders")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="OUT.parquet or OUT.csv"
    )
    add_landscape_options(parser)
    parser.add_argument("--keep", nargs="+", default=[], metavar="KEY", help="metadata to keep")
    parser.add_argument(
        "--per-atom", type=Path, metavar="FILE",
        help="also a table of every atom's own q6 and sS, FILE.parquet or FILE.csv",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=at_least(1), metavar="N", help="default: all cores allowed"
    )
    parser.add_argument("--force", action="store_true", help="overwrite OUT")
    parser.set_defaults(run=_map)


def _add_select(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("select", help="thin a library, coarse to fine, on the landscape")
    parser.add_argument(
        "inputs", nargs="+", metavar="LIBRARY", help="tables of `polymorphkd map`, or structures"
    )
    parser.add_argument(
        "-o", "--output", nargs="+", type=Path, required=True, metavar="OUT",
        help="one file, or one per round: structures (.extxyz), points (.csv), or .parquet",
    )  # fmt: skip
    add_selection_options(parser)
    parser.add_argument("--seed", type=at_least(0), default=1, help="of what is random (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the coverage there")
    parser.add_argument("--force", action="store_true", help="overwrite OUT")
    parser.add_argument("--threads", type=at_least(1), metavar="N", help="that map (all cores)")
    add_landscape_options(parser.add_argument_group("how structures are mapped (not for tables)"))
    parser.set_defaults(run=_select)


def _add_generate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("generate", help="a library of polymorphs from a few structures")
    parser.add_argument("seeds", nargs="+", metavar="SEEDS", help="structure files or globs")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="LIBRARY", help="LIBRARY.parquet"
    )
    parser.add_argument(
        "--strategy", choices=["fill", "edges", "rattle", "random"],
        help="fill the gaps (default), targets on the edges, or undirected baselines",
    )  # fmt: skip
    parser.add_argument("--budget", type=int, metavar="N", help="mutants tried (20000)")
    parser.add_argument(
        "--seed", type=at_least(0), default=1, metavar="K", help="of random numbers (1)"
    )
    parser.add_argument(
        "--settings", type=Path, metavar="FILE",
        help="YAML with the keys of `generate` in config/README.md, or a material file",
    )  # fmt: skip
    parser.add_argument(
        "--figure", type=Path, metavar="FILE", help="picture of the filling, and its table"
    )
    add_landscape_options(parser)
    parser.add_argument(
        "--threads", type=at_least(1), metavar="N", help="searches at once (all cores)"
    )
    parser.add_argument("--force", action="store_true", help="overwrite files")
    parser.set_defaults(run=_generate)

    other = commands.add_parser("substitute", help="structures of one material for another")
    other.add_argument("input", type=Path, metavar="IN", help="frames to read")
    other.add_argument("output", type=Path, metavar="OUT", help="frames to write")
    other.add_argument("elements", nargs="+", metavar="OLD=NEW", help="such as Ir=Al")
    other.add_argument(
        "--volume", type=float, metavar="V", help="wanted median volume per atom, Å^3"
    )
    other.add_argument("--force", action="store_true", help="overwrite OUT")
    other.set_defaults(run=_substitute)


def build_parser() -> argparse.ArgumentParser:
    """Parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="polymorphkd", description="Small tools around the workflow, which snakemake runs."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    doctor = commands.add_parser("doctor", help="what is installed, what works, how to mend it")
    doctor.add_argument("--material", help="check the engine of this material only")
    doctor.set_defaults(run=_doctor)

    _add_map(commands)
    warm = commands.add_parser(
        "warmup", help="compile the kernels once, before many jobs on a shared file system start"
    )
    warm.set_defaults(run=_warm_up)

    convert = commands.add_parser("convert", help="frames from one format to another")
    convert.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="files to read")
    convert.add_argument("output", type=Path, metavar="OUT", help="file to write")
    convert.add_argument("--force", action="store_true", help="overwrite OUT")
    convert.add_argument(
        "--skip-broken", action="store_true", help="leave broken frames out, and name them"
    )
    convert.set_defaults(run=_convert)

    run_commands.add(commands)
    _add_generate(commands)
    _add_select(commands)
    _add_coverage(commands)
    _add_plot(commands)
    add_import_labels(commands)
    add_aimd_deck(commands)

    schema = commands.add_parser("schema", help="write the JSON schema and the tables of keys")
    schema.add_argument("--check", action="store_true", help="only tell whether they are current")
    schema.set_defaults(run=_schema)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    The exit status is 1 for an expected error, 2 for a wrong call, 130 for Ctrl-C.
    """
    arguments = build_parser().parse_args(argv)
    if threading.current_thread() is threading.main_thread():
        # As an exception, so that temporary files go when a queueing system ends the job.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return arguments.run(arguments)
    except PolymorphKDError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing is written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
