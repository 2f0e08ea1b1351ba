"""Rule gather_errors: errors of all models -> one JSON file."""

import pandas as pd
from polymorphkd.evaluate import gather
from polymorphkd.progress import job
from polymorphkd.provenance import rng, write_json

with job(snakemake.log[0], "evaluate"):
    tables = {
        model: (pd.read_parquet(frames), pd.read_parquet(forces))
        for model, frames, forces in zip(
            snakemake.params.models, snakemake.input.frames, snakemake.input.forces, strict=True
        )
    }
    random = rng(snakemake.params.seed, snakemake.wildcards.material, "evaluate", "bootstrap")
    write_json(snakemake.output.errors, gather(tables, random))
