"""Join the shards of teacher labels and drop what is near the test or validation set."""

import pandas as pd
from polymorphkd.evaluate.cells import placed
from polymorphkd.frames import concatenate, write_frames
from polymorphkd.landscape import points
from polymorphkd.progress import job
from polymorphkd.provenance import atomic_path, read_json
from polymorphkd.readers import read_frames
from polymorphkd.settings import Landscape
from polymorphkd.teacher.relabel import gather

with job(snakemake.log[0], "relabel"):
    params, files = snakemake.params, snakemake.input
    landscape = Landscape.model_validate(params.landscape)
    cutoff = read_json(files.landscape)["cutoff"]
    shards = [read_frames(path) for path in files.shards]
    kept, records = gather(
        shards,
        [pd.read_parquet(path) for path in files.records],
        concatenate([read_frames(files.test), read_frames(files.valid)]),
        landscape,
        params.split["duplicate_distance"],
        cutoff,
    )
    everything = concatenate(
        [part.without_labels() for part in shards] + [read_frames(path) for path in files.dropped]
    )
    records = placed(
        records,
        points(everything, landscape, cutoff),
        pd.read_parquet(files.points),
        params.split["cells"],
    )
    write_frames(snakemake.output.frames, kept)
    with atomic_path(snakemake.output.records) as path:
        records.to_parquet(path, index=False)
