"""Predict the test set with one model and write its errors per frame and per atom."""

from polymorphkd.evaluate.models import load_model
from polymorphkd.evaluate.run import evaluate_model
from polymorphkd.progress import job
from polymorphkd.provenance import atomic_path, read_json
from polymorphkd.settings import Landscape

with job(snakemake.log[0], "evaluate"):
    params, files = snakemake.params, snakemake.input
    predictor = load_model(
        snakemake.wildcards.model,
        files.model if isinstance(files.model, list) else [files.model],
        params.model,
    )
    tables = evaluate_model(
        predictor,
        files.test,
        [files.train, files.valid],
        Landscape.model_validate(params.landscape),
        read_json(files.landscape)["cutoff"],
        params.split["cells"],
    )
    for table, output in zip(tables, snakemake.output, strict=True):
        with atomic_path(output) as path:
            table.to_parquet(path, index=False)
