"""Rule gather_scan: the students of a scan as a table and a figure."""

from pathlib import Path

import matplotlib.pyplot as plt
from polymorphkd.progress import job, logger
from polymorphkd.provenance import atomic_path, read_json
from polymorphkd.student.scan import draw, table

with job(snakemake.log[0], "scan"):
    rows = table({Path(path).parent.name: read_json(path) for path in snakemake.input.results})
    for row in rows.to_dict("records"):
        logger.info(
            "%s: %.1f us per atom and step, force RMSE %.0f meV/Å",
            *(row[key] for key in ("student", "us_per_atom_step", "force_meV_per_A")),
        )
    with atomic_path(snakemake.output.table) as path:
        rows.to_csv(path, sep="\t", index=False, float_format="%.6g")
    with atomic_path(snakemake.output.figure) as path:
        figure = draw(rows)
        figure.savefig(path)
        plt.close(figure)
