"""Rule scan_volumes_dft: equation of state by the labelling engine."""

from polymorphkd.errors import StageError
from polymorphkd.label import make_engine
from polymorphkd.progress import job, logger
from polymorphkd.properties import engine_energies, equation_of_state, summary
from polymorphkd.provenance import write_json
from polymorphkd.settings import Label, Properties

with job(snakemake.log[0], "eos dft"):
    params = snakemake.params
    energies = engine_energies(make_engine(Label.model_validate(params.engine)))
    settings = Properties.model_validate(params.settings)
    result = equation_of_state(energies, settings, params.element, params.volume)
    logger.info("%s", summary(result))
    if result["a0_A"] is None:
        raise StageError(f"properties: {result['problem']}; give another seeds.volume_per_atom")
    write_json(snakemake.output.properties, result)
