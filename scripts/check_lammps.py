"""Rule check_lammps: write the LAMMPS example of a student and run it."""

from pathlib import Path

from polymorphkd.deploy import Example, check, write_example
from polymorphkd.progress import job, logger
from polymorphkd.provenance import atomic_path, read_json, rng, write_json
from polymorphkd.settings import Deploy
from polymorphkd.student import load_student

files, params, output = snakemake.input, snakemake.params, snakemake.output
material, variant = snakemake.wildcards.material, snakemake.wildcards.variant
with job(snakemake.log[0], f"lammps {variant}"):
    settings = Deploy.model_validate(params.settings)
    crystal = read_json(files.properties)
    volume = crystal.get("V0_A3_per_atom")
    if volume is None:
        volume = params.volume
        logger.warning(
            "WARNING: %s; the example starts at %g Å^3 per atom", crystal["problem"], volume
        )
    random = rng(params.seed, material, "deploy", "example")
    folder = Path(output.input).parent
    write_example(
        folder,
        Path(files.template),
        Example(
            material,
            variant,
            crystal["structure"],
            volume,
            params.elements,
            random,
        ),
        settings,
    )
    model = load_student(params.student["kind"], files.model)
    work = Path(output.result).parent / "work"
    thermo, result = check(folder, work, params.elements, model, settings, snakemake.threads)
    if not result["passed"]:
        logger.warning("WARNING: energy conservation failed: %s", result["reason"])
    with atomic_path(output.thermo) as path:
        thermo.to_csv(path, index=False)
    write_json(output.result, result)
