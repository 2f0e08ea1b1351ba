"""Selection from files: frames or tables of points in, the chosen ones out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from .errors import InputError
from .frames import Frames, concatenate, write_frames
from .landscape import POINT_COLUMNS
from .landscape.tables import find_source, read_points
from .map_files import map_files
from .readers import Chunk, expand_sources, read_at, stream
from .select import Selection, run_rounds
from .settings import Choice, Landscape, Round
from .table_files import table_file

if TYPE_CHECKING:
    from rich.table import Table

STRUCTURES = (".extxyz", ".xyz")
TABLES = (".parquet", ".csv")


def select_files(
    patterns: Sequence[str | Path],
    outputs: Sequence[Path],
    rounds: Sequence[Round],
    choice: Choice,
    seed: int = 1,
    landscape: Landscape | None = None,
    n_threads: int = 1,
    force: bool = False,
    report: Callable[[Chunk], None] = lambda chunk: None,
) -> Selection:
    """Choose frames in rounds and write them; see :func:`~.select.run_rounds`.

    Parameters
    ----------
    patterns : sequence
        Tables of points (`polymorphkd map`), or structures, which are mapped first.
    outputs : sequence of path
        One file for all rounds, or one per round.  .extxyz and .xyz hold structures (those of
        a table are fetched from the files that it names), .csv points, and .parquet what came
        in.  Each frame says in `round` which round chose it.
    rounds, choice, seed
        What is chosen.
    landscape : Landscape, optional
        How structures are mapped; without meaning for tables.
    n_threads, report
        See :func:`~.map_files.map_files`.
    force : bool
        Overwrite existing files.

    Raises
    ------
    InputError
        An input or output cannot be used.
    StageError
        The rounds cannot be filled.
    """
    paths = expand_sources(patterns)
    check_outputs(outputs, len(rounds), paths, force)
    tables = _all_tables(paths)
    as_structures = [
        path.suffix in STRUCTURES or (path.suffix == ".parquet" and not tables) for path in outputs
    ]
    if tables and landscape is not None:
        raise InputError(
            f"{paths[0]}: is a table of points, already mapped; options of the landscape are for "
            "structures"
        )
    if tables:
        points = _read_tables(paths, any(as_structures))
    else:
        lowest = choice.lowest_of if choice.representative == "lowest" else "energy_per_atom"
        keep = [] if lowest in (*POINT_COLUMNS, "energy_per_atom") else [lowest]
        with TemporaryDirectory() as folder:
            points_file = Path(folder) / "points.parquet"
            map_files(paths, points_file, landscape or Landscape(), keep, n_threads, report=report)
            points = read_points(points_file)
    names = [str(path) for path in outputs]
    named = [(names[min(k, len(names) - 1)], one) for k, one in enumerate(rounds)]
    selection = run_rounds(points, named, choice, seed)
    for path, structures in zip(outputs, as_structures, strict=True):
        rows = selection.of(str(path))
        if structures:
            write_frames(path, chosen_frames(points, selection, rows))
        else:
            with table_file(path) as file:
                file.add(points.iloc[rows].assign(round=selection.rounds[rows]))
    return selection


def check_outputs(
    outputs: Sequence[Path], n_rounds: int, inputs: Sequence[Path], force: bool
) -> None:
    """Refuse outputs that cannot be written, before any work.

    Raises
    ------
    InputError
        Neither one file nor one per round, one named twice, a wrong suffix, an absent
        folder, an input, or a file that is there already without `force`.
    """
    if len(outputs) not in (1, n_rounds):
        raise InputError(
            f"--output: {len(outputs)} files for {n_rounds} rounds; give one, or one per round"
        )
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise InputError(f"--output: {outputs[0]}: each round needs a file of its own")
    for output in outputs:
        if output.suffix not in (*STRUCTURES, *TABLES):
            raise InputError(f"{output}: allowed is .extxyz, .xyz, .parquet or .csv")
        if not output.parent.is_dir():
            raise InputError(f"{output}: there is no folder {output.parent}")
        if output.resolve() in {path.resolve() for path in inputs}:
            raise InputError(f"{output}: is the library; choose another name")
        if output.exists() and not force:
            raise InputError(f"{output}: exists already; give --force to overwrite it")


def is_table(path: Path) -> bool:
    """Whether a file is a table of points, by its suffix or the columns of its Parquet."""
    if path.suffix == ".csv":
        return True
    if path.suffix != ".parquet" or not path.is_file():
        return False
    try:
        return "positions" not in pq.read_schema(path).names
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read as Parquet ({error})") from error


def _all_tables(paths: Sequence[Path]) -> bool:
    """Whether the inputs are tables of points; tables and structures cannot be mixed."""
    tables = [path for path in paths if is_table(path)]
    if tables and len(tables) < len(paths):
        raise InputError(
            f"{tables[0]}: is a table of points, which cannot be mixed with structures"
        )
    return bool(tables)


def _read_tables(paths: Sequence[Path], with_structures: bool) -> pd.DataFrame:
    """All points; where structures are wanted, `source` is a path that can be opened."""
    tables = []
    for path in paths:
        table = read_points(path)
        if with_structures:
            if not {"source", "source_index"} <= set(table) or table["source"].isna().any():
                raise InputError(
                    f"{path}: does not say in source and source_index where every frame is, so "
                    "that structures cannot be fetched; write the choice to .csv or .parquet"
                )
            found = {name: find_source(name, path) for name in table["source"].unique()}
            absent = [name for name, file in found.items() if not file.exists()]
            if absent:
                raise InputError(f"{path}: {absent[0]}, which its frames came from, is absent")
            table["source"] = table["source"].map({name: str(f) for name, f in found.items()})
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def chosen_frames(points: pd.DataFrame, selection: Selection, rows: np.ndarray) -> Frames:
    """Structures of chosen points, without labels; `round` in their metadata.

    Parameters
    ----------
    points : DataFrame
        Landscape points with the columns source and source_index.
    selection : Selection
    rows : ndarray, int
        Rows of `points`; the frames come in this order.

    Raises
    ------
    InputError
        A file is no longer what was mapped.
    """
    wanted = points.iloc[rows]
    source = wanted["source"].to_numpy(dtype=str)
    index = wanted["source_index"].to_numpy(dtype=np.int64)
    order = np.lexsort((index, source))  # each file is read once, from front to back
    cuts = np.flatnonzero(source[order][1:] != source[order][:-1]) + 1
    parts = [read_at(source[part[0]], index[part]) for part in np.split(order, cuts)]
    frames = concatenate(parts).take(np.argsort(order))
    changed = np.array(frames.frame_ids()) != wanted["frame_id"].to_numpy(dtype=str)
    if changed.any():
        first = int(changed.argmax())
        raise InputError(
            f"{source[first]}: frame {index[first]} is not the one that was mapped; the file has "
            "changed, map it again"
        )
    return frames.with_meta(round=selection.rounds[rows])


def with_library(points: pd.DataFrame, path: str | Path, choice: Choice) -> pd.DataFrame:
    """Points of one file of frames, row by row, with their source and what `choice` needs."""
    result = points.assign(source=str(path), source_index=np.arange(len(points)))
    if choice.representative == "lowest" and choice.lowest_of not in result:
        result[choice.lowest_of] = library_column(path, choice.lowest_of)
    return result


def library_column(path: str | Path, name: str) -> np.ndarray:
    """One number per frame of a file: ``energy_per_atom`` (eV), or a column of metadata.

    Returns
    -------
    ndarray, shape (n_frames,), float64
        NaN where a frame has none.

    Raises
    ------
    InputError
        No frame has a column of that name, or it holds no numbers.
    """
    parts, known = [], {"energy_per_atom"}
    for chunk in stream(path):
        frames = chunk.frames
        values = np.full(len(frames), np.nan)
        if name == "energy_per_atom" and frames.energy is not None:
            values = frames.energy / frames.n_atoms
        elif name in frames.meta:
            values = pd.to_numeric(frames.meta[name], errors="coerce").to_numpy(dtype=float)
        known |= set(map(str, frames.meta.columns))
        parts.append(values)
    if name not in known:
        raise InputError(
            f"select.lowest_of: {path} has no {name!r}; it has {', '.join(sorted(known))}"
        )
    return np.concatenate(parts)


def table(report: dict[str, Any]) -> Table:
    """Coverage before and after each round (the report of a selection) for the terminal."""
    from rich import box
    from rich.table import Table

    n = report["grid"]
    left_out = ", ".join(
        f"{count:,} {reason.replace('_', ' ')}"
        for reason, count in report["left_out"].items()
        if count
    )
    methods = dict.fromkeys(entry["method"] for entry in report["rounds"])
    result = Table(
        "after", "frames", "new", "step sS x Q6", "cells", "uniformity", "gaps", "farthest",
        title=f"{', '.join(methods)}; {n} x {n} cells over the library; farthest: distance of a "
        "library point to the nearest chosen one, in units of the box"
        + (f"; left out: {left_out}" if left_out else ""),
        title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False,
    )  # fmt: skip
    before = report["library"]
    result.add_row("library", f"{before['points']:,}", "", "", *_coverage_cells(before), "")
    for entry in report["rounds"]:
        step, now = entry["step"], entry["so_far"]
        result.add_row(
            f"round {entry['round']}" + (f", {entry['method']}" if len(methods) > 1 else ""),
            f"{now['points']:,}",
            f"{entry['count']:,}",
            f"{step['sS']:.3g} x {step['Q6']:.3g}" if step else "-",
            *_coverage_cells(now),
            f"{now['covering_radius']:.4f}",
        )
    return result


def _coverage_cells(numbers: dict[str, Any]) -> tuple[str, str, str]:
    return (
        f"{numbers['occupied']:,}",
        f"{numbers['uniformity']:.3f}",
        f"{numbers['gap_cells']:,}",
    )
