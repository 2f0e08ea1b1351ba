"""Rule write_card: the model card of a student."""

from pathlib import Path

from polymorphkd.deploy import CardSources, describe_labels, describe_teacher, write_card
from polymorphkd.progress import job
from polymorphkd.settings import Deploy, Label, Student

files, params = snakemake.input, snakemake.params
material, variant = snakemake.wildcards.material, snakemake.wildcards.variant
with job(snakemake.log[0], f"card {variant}"):
    write_card(
        Path(snakemake.output.card),
        Path(files.template),
        (material, variant),
        params.elements,
        CardSources(
            metrics=Path(files.metrics),
            errors=Path(files.errors),
            properties=Path(files.properties),
            dft=Path(files.dft) if files.get("dft") else None,
            nve=Path(files.nve),
        ),
        Student.model_validate(params.student),
        Deploy.model_validate(params.deploy),
        describe_labels(
            Label.model_validate(params.label), params.own_labels, params.pulay_virial
        ),
        describe_teacher([Path(file) for file in files.teachers], params.own_teacher),
    )
