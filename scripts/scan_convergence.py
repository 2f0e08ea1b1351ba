"""Rule scan_convergence: one frame of the landscape -> its labels at every setting of a scan."""

import os
import time

import pandas as pd
from polymorphkd.frames import write_frames
from polymorphkd.label.converge import scan_frame, three_frames
from polymorphkd.label.pools import for_pool, pool_environment
from polymorphkd.label.walltime import Walltime, job_end
from polymorphkd.progress import job, logger
from polymorphkd.readers import read_frames
from polymorphkd.settings import Label, Pool

name = snakemake.wildcards.frame
with job(snakemake.log[0], f"converge {name}"):
    params = snakemake.params
    pool = Pool.model_validate(params.pool["settings"])
    walltime = Walltime(job_end(os.environ, params.pool["runtime"], time.time()))
    os.environ.update(pool_environment(params.pool["name"], pool))
    scan = {"kspacings": params.kspacings, "cutoffs": params.cutoffs}
    settings = for_pool(Label.model_validate({**params.settings, "converge": scan}), pool)
    chosen = three_frames(pd.read_parquet(snakemake.input.points))[name]
    frames = read_frames(snakemake.input.frames)
    frame = frames.take([frames.frame_ids().index(chosen)])
    logger.info("frame %s of %d atoms", chosen, len(frame.numbers))
    write_frames(snakemake.output.scan, scan_frame(frame, settings, params.store, walltime))
