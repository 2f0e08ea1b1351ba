"""Rule select_frames: library -> standard and supplementary frames."""

import pandas as pd
from polymorphkd.frames import write_frames
from polymorphkd.progress import job, logger
from polymorphkd.provenance import write_json
from polymorphkd.select import select_rounds
from polymorphkd.select_files import chosen_frames, with_library
from polymorphkd.settings import Select

with job(snakemake.log[0], "select"):
    settings = Select.model_validate(snakemake.params.settings)
    points = pd.read_parquet(snakemake.input.points)
    points = with_library(points, snakemake.input.frames, settings)
    chosen = select_rounds(points, settings, snakemake.params.seed, snakemake.wildcards.material)
    for name in ("standard", "supplementary"):
        frames = chosen_frames(points, chosen, chosen.of(name)).without_labels()
        write_frames(snakemake.output[name], frames)
        logger.info("%d %s frames", len(frames), name)
    logger.info("left out: %s", chosen.report["left_out"])
    write_json(snakemake.output.coverage, chosen.report)
