"""Rule measure_scanned: validation errors and cost in LAMMPS of one student of the scan."""

from pathlib import Path

from polymorphkd.deploy import Example
from polymorphkd.progress import job, logger
from polymorphkd.provenance import read_json, rng, write_json
from polymorphkd.readers import read_frames
from polymorphkd.settings import Deploy, Student
from polymorphkd.student import load_student
from polymorphkd.student.scan import cost, rmse

files, params = snakemake.input, snakemake.params
material, entry = snakemake.wildcards.material, snakemake.wildcards.entry
with job(snakemake.log[0], f"scan {entry}"):
    student = Student.model_validate(params.student)
    crystal = read_json(files.crystal)
    example = Example(
        material,
        entry,
        crystal["structure"],
        crystal.get("V0_A3_per_atom") or params.volume,  # none: no minimum was found
        params.elements,
        rng(params.seed, material, "deploy", "example"),
    )
    model = load_student(student.kind, files.model)
    network = student.deepmd if student.kind == "deepmd" else student.pod
    keys = ("rcut", "embedding", "fitting", "two_body", "three_body", "four_body", "five_body")
    result = {
        **rmse(model, read_frames(files.valid)),
        **cost(Path(files.model), Path(files.template), example, Deploy(**params.settings)),
        "kind": student.kind,
        **{key: getattr(network, key) for key in keys if hasattr(network, key)},
    }
    logger.info("%.1f us per atom and step", result["us_per_atom_step"])
    write_json(snakemake.output.result, result)
