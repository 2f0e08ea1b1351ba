"""From seed files to a library, outside the workflow: `polymorphkd generate`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .errors import InputError
from .frames import Frames, concatenate
from .generate import Breeder, Context, make_targets, merge_library, merge_outcomes, write_shard
from .generate.filling import filling, write_filling
from .generate.strategies import steps_of_task
from .landscape import auto_cutoff, points, resolve
from .provenance import scratch_folder, write_json
from .readers import expand_sources, read_frames
from .settings import Generate, Landscape


@dataclass(frozen=True)
class Generated:
    """What `generate_files` did.

    Rows of the library; cells with an individual (of ``grid`` squared), and with a seed;
    cutoff of Q6 in Å; mutants by outcome and searches by why they ended; seeds that break the
    constraints, so have no descendants.
    """

    n_frames: int
    n_cells: int
    n_seed_cells: int
    cutoff: float
    outcome: dict[str, Any]
    n_unfit: int


def generate_files(
    patterns: Sequence[str | Path],
    output: Path,
    settings: Generate,
    landscape: Landscape,
    seed: int,
    n_processes: int = 1,
    figure: Path | None = None,
    force: bool = False,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Generated:
    """Generate a library from seed files.

    Parameters
    ----------
    patterns : sequence
        Files or globs of seeds, in any format that is read here.
    output : path
        .parquet; settings, box and outcome go beside it as .json.
    settings : Generate
    landscape : Landscape
        ``cutoff: auto`` is resolved on the seeds.
    seed : int
        The result depends on it, not on `n_processes`.
    n_processes : int
        Searches (targets or islands) at once.
    figure : path, optional
        Figure of the filling (.png, .svg, .pdf); its table goes beside it (.parquet).
    force : bool
        Overwrite existing files.
    report : callable
        Called with the steps (batches, generations or whole searches) done, and their number.

    Raises
    ------
    InputError, ConfigError, StageError
        A file cannot be used, the constraints are impossible, or nothing was found.
    """
    _check_outputs(output, figure, force)
    seeds = _seeds(patterns)
    cutoff = landscape.cutoff
    if cutoff == "auto":
        cutoff = 1.0 if landscape.nearest else auto_cutoff(seeds)  # unused with neighbours
    landscape = Landscape.model_validate(landscape.model_dump() | {"cutoff": cutoff})
    table = points(seeds, landscape)
    targets, box = make_targets(table, settings)
    context = Context(seeds, table, box, landscape, settings, seed, "generate")
    fit = Breeder(context, np.random.default_rng(seed)).founders  # refuses before any work
    with scratch_folder(output.parent, ".generate-") as folder:
        paths = [folder / f"{k}.parquet" for k in range(len(targets))]
        outcomes = _run(context, targets, paths, n_processes, report)
        lineage = merge_library(seeds, table, paths, output)
    filled = filling(lineage, box, settings.grid)
    outcome = merge_outcomes(outcomes)
    write_json(
        output.with_suffix(".json"),
        {
            **outcome, "frames": len(lineage), "seed": seed, "grid": settings.grid,
            "box": {"sS": box.sS, "Q6": box.Q6},
            "landscape": resolve(seeds, landscape),
            "generate": settings.model_dump(mode="json"),
        },
    )  # fmt: skip
    if figure is not None:
        write_filling(filled, box, settings.grid, figure.with_suffix(".parquet"), figure)
    first = filled[filled["new"]]
    return Generated(
        len(lineage), len(first), int((first["generation"] == 0).sum()), float(cutoff),
        outcome, len(seeds) - len(fit),
    )  # fmt: skip


def _check_outputs(output: Path, figure: Path | None, force: bool) -> None:
    if output.suffix != ".parquet":
        raise InputError(f"{output}: a library is .parquet; `polymorphkd convert` makes others")
    if figure is not None and figure.suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"{figure}: a figure is .png, .svg or .pdf")
    beside = [output.with_suffix(".json")]
    beside += [figure, figure.with_suffix(".parquet")] if figure else []
    if output in beside:
        raise InputError(f"{output}: the table of the figure would have the same name")
    for path in (output, *beside):
        if not path.parent.is_dir():
            raise InputError(f"{path}: there is no folder {path.parent}")
        if path.exists() and not force:
            raise InputError(f"{path}: exists already; give --force to overwrite it")


def _seeds(patterns: Sequence[str | Path]) -> Frames:
    parts = [read_frames(path, True).without_labels() for path in expand_sources(patterns)]
    return replace(concatenate(parts), meta=pd.DataFrame()).sorted_by_id()


def _run(
    context: Context,
    targets: pd.DataFrame,
    paths: Sequence[Path],
    n_processes: int,
    report: Callable[[int, int], None],
) -> list[dict[str, Any]]:
    """One shard per search, in this process or in `n_processes` of them."""
    n = len(targets)
    outcomes = []
    if n_processes == 1 or n == 1:
        steps = steps_of_task(context.settings)

        def counted(first: int) -> Callable[[], None]:
            done = itertools.count(first + 1)
            return lambda: report(next(done), n * steps)

        for k, path in enumerate(paths):
            outcomes.append(write_shard(context, targets, k, n, path, counted(k * steps)))
            report((k + 1) * steps, n * steps)
        return outcomes
    # Forking a process that has started threads may hang.
    with ProcessPoolExecutor(min(n_processes, n), get_context("spawn")) as pool:
        waiting = [
            pool.submit(write_shard, context, targets, k, n, path) for k, path in enumerate(paths)
        ]
        try:
            for k, future in enumerate(waiting):
                outcomes.append(future.result())
                report(k + 1, n)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return outcomes
