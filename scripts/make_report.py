"""Rule make_report: results of one material -> report.html and summary.json."""

from pathlib import Path

from polymorphkd.progress import job, logger
from polymorphkd.provenance import write_json
from polymorphkd.report import collect, git_commit, render, summarise, versions, write_page
from polymorphkd.report.verdict import headline
from polymorphkd.settings import Settings

with job(snakemake.log[0], "report"):
    settings = Settings.model_validate(snakemake.params.settings)
    run = collect(Path(snakemake.output.summary).parent, settings, snakemake.params.framesets)
    commit, found = git_commit(), versions()
    write_json(snakemake.output.summary, summarise(run, commit, found))
    write_page(snakemake.output.report, render(run, Path(snakemake.input.template), commit, found))
    logger.info("%s: %s", settings.material, headline(run))
