"""Rule label_frames: one shard of frames -> labels; a killed job resumes where it was."""

import os
import time
from pathlib import Path

from polymorphkd.frames import write_frames
from polymorphkd.label import deal, label_shard, make_engine, unfinished
from polymorphkd.label.pools import for_pool, pool_environment
from polymorphkd.label.walltime import Walltime, job_end
from polymorphkd.progress import job, logger
from polymorphkd.readers import read_frames
from polymorphkd.settings import Label, Pool
from polymorphkd.tries import note_try

shard = int(snakemake.wildcards.shard)
n_shards = snakemake.params.n_shards
with job(snakemake.log[0], f"label {shard + 1}/{n_shards}"):
    params = snakemake.params
    pool = Pool.model_validate(params.pool["settings"])
    walltime = Walltime(job_end(os.environ, params.pool["runtime"], time.time()))
    os.environ.update(pool_environment(params.pool["name"], pool))
    engine = make_engine(for_pool(Label.model_validate(params.settings), pool))
    frames = deal(read_frames(snakemake.input.frames), shard, n_shards)
    logger.info("%d frames with %s, pool %s", len(frames), engine.version, params.pool["name"])
    labelled = label_shard(frames, engine, params.store, walltime)
    write_frames(snakemake.output.frames, labelled)
    left = unfinished(frames, engine, params.store)
    if left:
        logger.info("%d frames that their machine failed wait for another run", left)
    folder = Path(params.store).with_name("tries")
    note_try(folder / f"{shard}.json", params.tries["try"], left)
