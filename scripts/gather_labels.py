"""Rule gather_labels: all shards -> accepted labels and a record of every frame."""

from polymorphkd.frames import write_frames
from polymorphkd.label import gather
from polymorphkd.progress import job, logger
from polymorphkd.provenance import atomic_path
from polymorphkd.readers import read_frames
from polymorphkd.settings import Label

with job(snakemake.log[0], "label"):
    shards = [read_frames(path) for path in snakemake.input.shards]
    settings = Label.model_validate(snakemake.params.settings)
    accepted, records = gather(shards, settings, read_frames(snakemake.input.frames))
    counts = records["status"].value_counts()
    logger.info("%s", ", ".join(f"{count} {status}" for status, count in counts.items()))
    with atomic_path(snakemake.output.records) as path:
        records.to_parquet(path)
    write_frames(snakemake.output.labelled, accepted)
