"""The library on disk: shards of some tasks, and all of them merged; memory stays flat."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ..errors import StageError
from ..frames import Frames, as_number, concatenate, to_table
from ..progress import Counter
from ..provenance import atomic_path
from ..readers import stream
from .breeder import Context
from .known import Known
from .strategies import run_task

LINEAGE: dict[str, Any] = {
    "parent": str, "root": str, "target": np.int64, "generation": np.int64, "operator": str,
    "seed": np.int64, "sS": np.float64, "Q6": np.float64,
    "settings_digest": str,
}  # fmt: skip
"""Columns of the library beside the structure, in this order, and their kinds."""

PLACES = ("target", "generation", "sS", "Q6")
"""Columns of which a filling is made; the only ones that are kept for all individuals."""

ATOMS_PER_GROUP = 200_000
"""Atoms of a row group: some megabytes."""


class Writer:
    """Frames to Parquet, row group by row group; use as ``with Writer(path) as write``."""

    def __init__(self, path: Path) -> None:
        self._aside = atomic_path(path)
        self._file: pq.ParquetWriter | None = None
        self._waiting: list[Frames] = []
        self._atoms = 0
        self.n_frames = 0

    def __enter__(self) -> Writer:
        self._path = self._aside.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            self._flush()
        if self._file is not None:
            self._file.close()
        self._aside.__exit__(*error)

    def __call__(self, frames: Frames) -> None:
        """Take frames with all columns of `LINEAGE`."""
        self.n_frames += len(frames)
        self._waiting.append(frames)
        self._atoms += len(frames.numbers)
        if self._atoms >= ATOMS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        frames = concatenate(self._waiting)
        self._waiting, self._atoms = [], 0
        if not len(frames):
            if self._file is not None:
                return
            frames.meta = pd.DataFrame({name: [] for name in LINEAGE})
        frames.meta = frames.meta[list(LINEAGE)].astype(LINEAGE)
        table = to_table(frames)
        if self._file is None:
            self._file = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._file.write_table(table.cast(self._file.schema))


def write_shard(
    context: Context,
    targets: pd.DataFrame,
    shard: int,
    n_shards: int,
    output: Path,
    report: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Run the tasks of one shard (dealt round-robin) and write what they find.

    Parameters
    ----------
    context : Context
    targets : DataFrame
        All tasks; see :func:`targets.make_targets`.
    shard, n_shards : int
    output : path
        Parquet, ordered by target, then by birth.
    report : callable
        Called after every batch or generation.

    Returns
    -------
    dict
        ``mutants`` by outcome, and per target why it ended.
    """
    mine = targets.iloc[shard::n_shards]
    counter = Counter(len(mine), "searches")
    tally: Tally[str] = Tally()
    ended: dict[str, str] = {}
    with Writer(output) as write:
        for _, target in mine.iterrows():
            task = run_task(context, target)
            while True:
                try:
                    write(next(task))
                    report()
                except StopIteration as stop:
                    outcome, ended[str(int(target["target"]))] = stop.value
                    tally.update(outcome)
                    break
            counter.step()
    return {"mutants": dict(sorted(tally.items())), "ended": ended}


def merge_outcomes(outcomes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mutants by outcome, and number of tasks by why they ended, over all shards."""
    mutants: Tally[str] = Tally()
    ended: Tally[str] = Tally()
    for outcome in outcomes:
        mutants.update(outcome["mutants"])
        ended.update(outcome["ended"].values())
    return {"mutants": dict(sorted(mutants.items())), "ended": dict(sorted(ended.items()))}


def merge_library(
    seeds: Frames, seed_points: pd.DataFrame, shards: Sequence[Path], output: Path
) -> pd.DataFrame:
    """Write the seeds and all shards as one library without duplicates.

    Rows are ordered by target and birth, the seeds first (target -1); of equal structures
    the first stays.  So the library does not depend on how tasks were dealt to shards.

    Parameters
    ----------
    seeds : Frames
    seed_points : DataFrame
        Landscape points of the seeds, same order.
    shards : sequence of path
        In the order of their numbers.
    output : path
        Parquet.

    Returns
    -------
    DataFrame
        `PLACES` and frame_id of every row of the library.

    Raises
    ------
    StageError
        Not a single mutant obeyed the constraints.
    """
    founders = seeds.without_labels()
    founders.meta = pd.DataFrame(
        {
            "parent": "",
            "root": seed_points["frame_id"].to_numpy(),
            "operator": "seed",
            "target": -1,
            "generation": 0,
            "seed": -1,
            "sS": seed_points["sS"].to_numpy(),
            "Q6": seed_points["Q6"].to_numpy(),
            "settings_digest": seed_points["settings_digest"].to_numpy(),
        }
    )
    known = Known()
    rows: list[pd.DataFrame] = []
    with Writer(output) as write:
        for frames in chain([founders], _in_order(shards)):
            names = frames.frame_ids()
            new = [i for i, name in enumerate(names) if known.add(as_number(name))]
            kept = frames.take(new)
            write(kept)
            rows.append(kept.meta[list(PLACES)].assign(frame_id=[names[i] for i in new]))
        if write.n_frames <= len(seeds) and len(rows) == 1:
            raise StageError(
                "generate: not a single mutant obeyed generate.constraints; widen them or lower "
                "generate.amplitudes"
            )
    return pd.concat(rows, ignore_index=True)


def _in_order(shards: Sequence[Path]) -> Iterator[Frames]:
    """Frames of all shards by target; each shard is read once, chunk by chunk."""
    sources = [_runs(path) for path in shards]
    heads = [next(source, None) for source in sources]
    while any(head is not None for head in heads):
        first = min(
            (k for k, head in enumerate(heads) if head is not None),
            key=lambda k: heads[k][0],  # type: ignore[index]
        )
        head = heads[first]
        assert head is not None
        yield head[1]
        heads[first] = next(sources[first], None)


def _runs(path: Path) -> Iterator[tuple[int, Frames]]:
    """Stretches of one target each, in the order of the file."""
    for chunk in stream(path, ATOMS_PER_GROUP):
        if not len(chunk.frames):
            continue
        targets = chunk.frames.meta["target"].to_numpy()
        edges = np.flatnonzero(np.diff(targets)) + 1
        for part in np.split(np.arange(len(targets)), edges):
            yield int(targets[part[0]]), chunk.frames.take(part)
