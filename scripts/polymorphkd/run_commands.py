"""Commands around a run: ``estimate`` before it, ``status`` and ``curves`` during it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InputError
from .options import at_least

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from .estimate import Estimate
    from .label_status import LabelState

COLOURS = {"done": "green", "running": "cyan", "missing": "dim", "skipped": "dim"}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands of this module to the command line."""
    status = commands.add_parser("status", help="how far each stage is, and the labels")
    status.add_argument("--material", help="only this material")
    status.add_argument(
        "--watch", type=at_least(1), metavar="N", help="again every N seconds, until Ctrl-C"
    )
    status.set_defaults(run=_status)

    curves = commands.add_parser("curves", help="learning curves, also of running trainings")
    curves.add_argument("material", metavar="MATERIAL", help="its name, as under results/")
    curves.add_argument("-o", "--output", type=Path, metavar="FILE", default=Path("curves.png"))
    curves.set_defaults(run=_curves)

    estimate = commands.add_parser("estimate", help="what a run will cost, before it starts")
    estimate.add_argument(
        "material", metavar="MATERIAL", help="its name, or its file config/materials/<name>.yaml"
    )
    estimate.add_argument(
        "--pilot", action="store_true",
        help="label two frames here and now to measure the time; their labels are kept",
    )  # fmt: skip
    estimate.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    estimate.set_defaults(run=_estimate)


def _status(arguments: argparse.Namespace) -> int:
    from rich.console import Console, Group
    from rich.live import Live

    from .status import materials

    results = Path("results")
    names = [arguments.material] if arguments.material else []
    if not names and results.is_dir():
        names = materials(results)
    missing = [name for name in names if not (results / name).is_dir()]
    if missing or not names:
        where = results / missing[0] if missing else results
        raise InputError(f"{where}: no such folder; run snakemake first, or go to where it ran")
    console = Console()
    if not arguments.watch:
        for part in _parts(names):
            console.print(part)
        return 0
    try:
        with Live(Group(*_parts(names)), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(arguments.watch)
                live.update(Group(*_parts(names)), refresh=True)
    except KeyboardInterrupt:
        return 0


def _parts(names: list[str]) -> Iterator[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    from .label_status import label_state, lines
    from .status import headline, stages

    for name in names:
        table = Table("stage", "state", "frames", "last change", title=name, title_justify="left")
        for stage in stages(name):
            colour = COLOURS.get(stage.state, "yellow")
            changed = f"{stage.modified:%Y-%m-%d %H:%M}" if stage.modified else ""
            table.add_row(stage.name, f"[{colour}]{stage.state}[/]", stage.count, changed)
        yield table
        state = label_state(Path("results") / name)
        if state is not None:
            yield _label_table(state)
            yield from (Text(line) for line in lines(state))
        yield from (Text(line) for line in headline(name))


def _label_table(state: LabelState) -> Table:
    from rich.table import Table

    table = Table("labels", "frames", "share")
    total = sum(state.counts.values())
    for status in ("ok", *sorted(set(state.counts) - {"ok", "waiting"}), "waiting"):
        count = state.counts[status]
        if count or status == "ok":
            table.add_row(status, f"{count:,}", f"{100 * count / max(total, 1):.1f} %")
    return table


def _curves(arguments: argparse.Namespace) -> int:
    from .curves import draw_curves

    for line in draw_curves(Path("results") / arguments.material, arguments.output):
        print(line)
    print(f"wrote {arguments.output}")
    return 0


def _estimate(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from .config import load_settings, read_yaml
    from .estimate import estimate
    from .provenance import write_json

    given = Path(arguments.material)
    is_file = given.suffix in (".yaml", ".yml")
    folder = given.parent if is_file else Path("config/materials")
    name = given.stem if is_file else arguments.material
    common = folder.parent / "config.yaml"
    config = read_yaml(common) if common.is_file() else {}
    settings = load_settings(config, name, folder)
    found = estimate(settings, Path("results") / name, arguments.pilot)
    console = Console(soft_wrap=True)
    console.print(_estimate_table(found))
    for line in found.remarks:
        console.print(line, markup=False, highlight=False)
    if arguments.json:
        write_json(arguments.json, found.as_json())
    return 0


def _estimate_table(found: Estimate) -> Table:
    from rich.table import Table

    table = Table("stage", "what", "core hours", "storage", "from", title=found.material)
    for row in found.rows:
        hours = "unknown" if row.core_hours is None else f"{row.core_hours:.2f}"
        size = "unknown" if row.megabytes is None else f"{row.megabytes:,.1f} MB"
        table.add_row(row.stage, row.what, hours, size, row.basis)
    return table
