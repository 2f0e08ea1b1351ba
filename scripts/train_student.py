"""Rules train_student and train_scanned: train one student, whatever its family."""

from pathlib import Path

from polymorphkd.progress import job
from polymorphkd.provenance import rng
from polymorphkd.settings import Student
from polymorphkd.student import TrainingJob, train_student

files, params = snakemake.input, snakemake.params
folder = Path(snakemake.output.model).parent
with job(snakemake.log[0], folder.name):
    # One stream for all variants: they start from the same weights.
    random = rng(params.seed, snakemake.wildcards.material, "student", 0)
    train_student(
        Student.model_validate(params.settings),
        TrainingJob(
            train=Path(files.train),
            valid=Path(files.valid),
            relabelled=Path(files.relabelled) if files.get("relabelled") else None,
            folder=folder,
            elements=params.elements,
            seed=int(random.integers(2**31)),
            threads=snakemake.threads,
        ),
    )
