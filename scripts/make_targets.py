"""Rule make_targets: landscape of the seeds -> targets and their box."""

import pandas as pd
from polymorphkd.generate import make_targets
from polymorphkd.progress import job, logger
from polymorphkd.provenance import atomic_path, write_json
from polymorphkd.settings import Generate

with job(snakemake.log[0], "generate"):
    settings = Generate.model_validate(snakemake.params.settings)
    targets, box = make_targets(pd.read_parquet(snakemake.input.points), settings)
    logger.info("%d targets", len(targets))
    with atomic_path(snakemake.output.targets) as path:
        targets.to_csv(path, sep="\t", index=False)
    write_json(snakemake.output.box, {"sS": box.sS, "Q6": box.Q6})
