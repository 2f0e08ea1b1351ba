"""Rule merge_library: seeds and all shards -> the library, and the mutants by outcome."""

import pandas as pd
from polymorphkd.frames import write_frames
from polymorphkd.generate import merge_library, merge_outcomes
from polymorphkd.progress import job, logger
from polymorphkd.provenance import read_json, write_json
from polymorphkd.readers import read_frames

with job(snakemake.log[0], "generate"):
    library = merge_library(
        read_frames(snakemake.input.frames),
        pd.read_parquet(snakemake.input.points),
        [read_frames(path) for path in snakemake.input.shards],
    )
    outcome = merge_outcomes([read_json(path) for path in snakemake.input.outcomes])
    logger.info("%d frames in the library; mutants: %s", len(library), outcome)
    write_frames(snakemake.output.library, library)
    write_json(snakemake.output.outcome, {**outcome, "library": len(library)})
