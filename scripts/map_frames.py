"""Rule map_frames: one frame set -> its landscape points."""

from polymorphkd.landscape import points, read_settings
from polymorphkd.progress import job, logger
from polymorphkd.provenance import atomic_path
from polymorphkd.readers import read_frames

with job(snakemake.log[0], "landscape"):
    table = points(read_frames(snakemake.input.frames), read_settings(snakemake.input.settings))
    logger.info("%d frames of %s mapped", len(table), snakemake.wildcards.frameset)
    with atomic_path(snakemake.output.points) as path:
        table.to_parquet(path)
