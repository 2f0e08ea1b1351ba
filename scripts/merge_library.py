"""Rule merge_library: seeds and all shards -> the library, its outcome and its filling."""

from pathlib import Path

import pandas as pd
from polymorphkd.generate import merge_library, merge_outcomes
from polymorphkd.generate.filling import filling, write_filling
from polymorphkd.landscape.grid import Box
from polymorphkd.progress import job, logger
from polymorphkd.provenance import read_json, write_json
from polymorphkd.readers import read_frames

with job(snakemake.log[0], "generate"):
    files, output = snakemake.input, snakemake.output
    lineage = merge_library(
        read_frames(files.frames),
        pd.read_parquet(files.points),
        [Path(path) for path in files.shards],
        Path(output.library),
    )
    outcome = merge_outcomes([read_json(path) for path in files.outcomes])
    logger.info("%d frames in the library; %s", len(lineage), outcome)
    box, grid = Box(**read_json(files.box)), snakemake.params.grid
    table = filling(lineage, box, grid)
    size = {"library": len(lineage), "box": {"sS": box.sS, "Q6": box.Q6}, "grid": grid}
    write_json(output.outcome, {**outcome, **size})
    write_filling(table, box, grid, Path(output.filling), Path(output.figure))
