"""Rule evolve_targets: seeds and some targets -> the individuals met on the way."""

from pathlib import Path

import pandas as pd
from polymorphkd.generate import Context, write_shard
from polymorphkd.landscape import read_settings
from polymorphkd.landscape.grid import Box
from polymorphkd.progress import job, logger
from polymorphkd.provenance import read_json, write_json
from polymorphkd.readers import read_frames
from polymorphkd.settings import Generate

with job(snakemake.log[0], "generate"):
    files, shard = snakemake.input, int(snakemake.wildcards.shard)
    context = Context(
        seeds=read_frames(files.frames),
        seed_points=pd.read_parquet(files.points),
        box=Box(**read_json(files.box)),
        landscape=read_settings(files.landscape),
        settings=Generate.model_validate(snakemake.params.settings),
        seed=snakemake.params.seed,
        material=snakemake.wildcards.material,
    )
    targets = pd.read_csv(files.targets, sep="\t")
    outcome = write_shard(
        context, targets, shard, snakemake.params.n_shards, Path(snakemake.output.frames)
    )
    logger.info("mutants: %s; ended: %s", outcome["mutants"], outcome["ended"])
    write_json(snakemake.output.outcome, outcome)
