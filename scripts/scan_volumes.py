"""Rule scan_volumes: equation of state by the teacher or a student."""

from polymorphkd.evaluate.models import load_model
from polymorphkd.progress import job, logger
from polymorphkd.properties import equation_of_state, predictor_energies, summary
from polymorphkd.provenance import write_json
from polymorphkd.settings import Properties

name = snakemake.wildcards.model
with job(snakemake.log[0], f"eos {name}"):
    params = snakemake.params
    model = load_model(name, snakemake.input.model, params.model)
    settings = Properties.model_validate(params.settings)
    result = equation_of_state(predictor_energies(model), settings, params.element, params.volume)
    logger.info("%s", summary(result))
    write_json(snakemake.output.properties, result)
