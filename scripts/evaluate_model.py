"""Rule evaluate_model: errors of one model on the test set, per frame and per atom."""

import pandas as pd
from polymorphkd.evaluate.models import load_model
from polymorphkd.evaluate.run import evaluate_model
from polymorphkd.progress import job
from polymorphkd.provenance import atomic_path

with job(snakemake.log[0], "evaluate"):
    files, params = snakemake.input, snakemake.params
    tables = evaluate_model(
        load_model(snakemake.wildcards.model, files.model, params.model),
        files.test,
        pd.read_parquet(files.points),
        params.cells,
    )
    for table, output in zip(tables, snakemake.output, strict=True):
        with atomic_path(output) as path:
            table.to_parquet(path, index=False)
