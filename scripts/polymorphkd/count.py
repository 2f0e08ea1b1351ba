"""Count frames without reading structures, for pages that only say how many there are."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq


def count_frames(path: Path) -> int:
    """Frames in a Parquet file of this project or in an (ext)xyz file."""
    if path.suffix == ".parquet":
        return pq.read_metadata(path).num_rows
    frames = 0
    with path.open() as file:
        while line := file.readline().strip():
            for _ in range(int(line) + 1):
                file.readline()
            frames += 1
    return frames
