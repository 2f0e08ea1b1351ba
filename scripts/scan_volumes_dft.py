"""Rule scan_volumes_dft: equation of state by the labelling engine, in the first of its pools."""

import os

from polymorphkd.errors import StageError
from polymorphkd.label import make_engine
from polymorphkd.label.pools import for_pool, pool_environment
from polymorphkd.progress import job, logger
from polymorphkd.properties import engine_energies, equation_of_state, summary
from polymorphkd.provenance import write_json
from polymorphkd.settings import Label, Pool, Properties

with job(snakemake.log[0], "eos dft"):
    params = snakemake.params
    pool = Pool.model_validate(params.pool["settings"])
    os.environ.update(pool_environment(params.pool["name"], pool))
    engine = make_engine(for_pool(Label.model_validate(params.engine), pool))
    logger.info("with %s, pool %s", engine.version, params.pool["name"])
    settings = Properties.model_validate(params.settings)
    result = equation_of_state(engine_energies(engine), settings, params.element, params.volume)
    logger.info("%s", summary(result))
    if result["a0_A"] is None:
        raise StageError(f"properties: {result['problem']}; give another seeds.volume_per_atom")
    write_json(snakemake.output.properties, result)
