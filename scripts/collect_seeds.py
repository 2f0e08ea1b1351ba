"""Rule collect_seeds: prototypes and MD, or the user's files -> seeds/frames.parquet."""

from polymorphkd.config import validate
from polymorphkd.frames import write_frames
from polymorphkd.progress import job, logger
from polymorphkd.seeds import collect
from polymorphkd.seeds.melt_runs import read_runs

with job(snakemake.log[0], "seeds"):
    values = {**snakemake.params.settings, "inputs": {"seeds": snakemake.params.own}}
    runs = read_runs(snakemake.input.runs, snakemake.input.records)
    frames = collect(validate(values, "seeds"), runs)
    logger.info("%d seeds", len(frames))
    write_frames(snakemake.output.frames, frames)
