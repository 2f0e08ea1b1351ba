"""Join the shards of teacher labels and drop what is near the test or validation set."""

import pandas as pd
from polymorphkd.frames import concatenate, write_frames
from polymorphkd.progress import job
from polymorphkd.provenance import atomic_path, read_json
from polymorphkd.readers import read_frames
from polymorphkd.settings import Landscape
from polymorphkd.teacher.relabel import gather

with job(snakemake.log[0], "relabel"):
    params, files = snakemake.params, snakemake.input
    kept, records = gather(
        [read_frames(path) for path in files.shards],
        [pd.read_parquet(path) for path in files.records],
        concatenate([read_frames(files.test), read_frames(files.valid)]),
        Landscape.model_validate(params.landscape),
        params.split["duplicate_distance"],
        read_json(files.landscape)["cutoff"],
    )
    write_frames(snakemake.output.frames, kept)
    with atomic_path(snakemake.output.records) as path:
        records.to_parquet(path, index=False)
