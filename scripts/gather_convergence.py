"""Rule gather_convergence: scans of three frames -> errors as tables and a figure."""

from polymorphkd.label.converge import FRAMES, by_setting, errors, sentences
from polymorphkd.label.converge.figure import draw
from polymorphkd.progress import job, logger
from polymorphkd.provenance import atomic_path
from polymorphkd.readers import read_frames
from polymorphkd.settings import Label

with job(snakemake.log[0], "converge"):
    label = Label.model_validate(snakemake.params.settings)
    scans = dict(zip(FRAMES, map(read_frames, snakemake.input.scans), strict=True))
    table = errors(scans, label.converge)
    rows = by_setting(table, label)
    for failed in table[table["status"] != "ok"].itertuples():
        logger.warning(
            "%s frame, k-spacing %g, cutoff %g: %s: %s",
            *(failed.frame, failed.kspacing, failed.cutoff, failed.status, failed.reason),
        )
    for sentence in sentences(rows, label.converge):
        logger.info("%s", sentence)
    with atomic_path(snakemake.output.frames) as path:
        table.to_parquet(path)
    with atomic_path(snakemake.output.table) as path:
        rows.to_csv(path, sep="\t", index=False, float_format="%.6g")
    with atomic_path(snakemake.output.figure) as path:
        draw(table, label).savefig(path)
