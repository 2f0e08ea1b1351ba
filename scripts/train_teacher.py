"""Train one model of the teacher committee."""

from pathlib import Path

from polymorphkd.progress import job
from polymorphkd.provenance import rng
from polymorphkd.settings import Teacher
from polymorphkd.teacher import TrainingJob, train_teacher

with job(snakemake.log[0], "teacher"):
    params, k = snakemake.params, snakemake.wildcards.k
    random = rng(params.seed, snakemake.wildcards.material, "teacher", k)
    model = Path(snakemake.output.model)
    foundation = Path(snakemake.input.foundation) if snakemake.input.foundation else None
    train_teacher(
        Teacher.model_validate(params.settings),
        TrainingJob(
            train=Path(snakemake.input.train),
            valid=Path(snakemake.input.valid),
            model=model,
            metrics=Path(snakemake.output.metrics),
            work=model.parent / f"work_{k}",
            elements=params.elements,
            seed=int(random.integers(2**31)),
            threads=snakemake.threads,
            foundation=foundation,
        ),
    )
