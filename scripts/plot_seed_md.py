"""Rule plot_seed_md: tables of all melt-quench runs and their landscape -> table and figure."""

from pathlib import Path

import pandas as pd
from polymorphkd.plots.melt_quench import plot_runs
from polymorphkd.progress import job, logger
from polymorphkd.provenance import atomic_path
from polymorphkd.seeds.melt_runs import read_runs, unmelted, with_points

with job(snakemake.log[0], "seeds"):
    tables = [pd.read_csv(path, sep="\t") for path in snakemake.input.tables]
    runs = read_runs(snakemake.input.runs, snakemake.input.records)
    table = with_points(pd.concat(tables), runs, pd.read_parquet(snakemake.input.points))
    for start in unmelted(table):
        logger.warning(
            "%s did not melt: its Q6 stays high; raise temperatures or picoseconds", start
        )
    with atomic_path(snakemake.output.table) as path:
        table.to_csv(path, sep="\t", index=False, float_format="%.8g")
    plot_runs(table, Path(snakemake.output.figure))
