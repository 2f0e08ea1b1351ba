"""Rule propose_frames: what the committee disagrees on, for the next round of DFT."""

import pandas as pd
from polymorphkd.frames import concatenate, write_frames
from polymorphkd.progress import job
from polymorphkd.provenance import read_json
from polymorphkd.readers import read_frames
from polymorphkd.settings import Landscape
from polymorphkd.teacher.proposals import propose

with job(snakemake.log[0], "relabel"):
    params, files = snakemake.params, snakemake.input
    proposed = propose(
        concatenate([read_frames(path) for path in files.frames]),
        pd.read_parquet(files.records),
        params.most,
        Landscape.model_validate(params.landscape),
        params.seed,
        snakemake.wildcards.material,
        read_json(files.landscape)["cutoff"],
    )
    write_frames(snakemake.output.frames, proposed)
