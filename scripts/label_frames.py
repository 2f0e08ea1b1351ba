"""Rule label_frames: one shard of frames -> labels; a killed job resumes where it was."""

from polymorphkd.frames import write_frames
from polymorphkd.label import deal, label_shard, make_engine
from polymorphkd.progress import job, logger
from polymorphkd.readers import read_frames
from polymorphkd.settings import Label

shard = int(snakemake.wildcards.shard)
n_shards = snakemake.params.n_shards
with job(snakemake.log[0], f"label {shard + 1}/{n_shards}"):
    engine = make_engine(Label.model_validate(snakemake.params.settings))
    frames = deal(read_frames(snakemake.input.frames), shard, n_shards)
    logger.info("%d frames with %s", len(frames), engine.version)
    write_frames(snakemake.output.frames, label_shard(frames, engine, snakemake.params.store))
