"""Rule resolve_landscape: settings of the landscape with the cutoff as a number."""

from polymorphkd.landscape import resolve
from polymorphkd.progress import job, logger
from polymorphkd.provenance import write_json
from polymorphkd.readers import read_frames
from polymorphkd.settings import Landscape

with job(snakemake.log[0], "landscape"):
    settings = Landscape.model_validate(snakemake.params.settings)
    resolved = resolve(read_frames(snakemake.input.frames), settings)
    logger.info("neighbour cutoff %.3f Å, digest %s", resolved["cutoff"], resolved["digest"])
    write_json(snakemake.output.settings, resolved)
