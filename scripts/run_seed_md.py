"""Rule run_seed_md: one melt-quench run -> frames, table, record; a killed job resumes."""

from pathlib import Path

from polymorphkd.config import validate
from polymorphkd.progress import job, logger
from polymorphkd.seeds.melt_quench import run_start
from polymorphkd.seeds.melt_runs import melt_run, run_table, write_run

start = snakemake.params.start
with job(snakemake.log[0], f"melt {start}"):
    settings = validate(snakemake.params.settings, "seeds")
    done = run_start(settings, start, Path(snakemake.params.work))
    run = melt_run(start, done.run)
    if run.reason:
        logger.warning("the run failed: %s", run.reason)
    logger.info("%d frames", len(run.frames))
    out = snakemake.output
    lines = run_table(start, done.run, done.plan, done.n_atoms)
    write_run(Path(out.frames), Path(out.record), Path(out.table), run, lines)
