"""Rule select_frames: library -> standard and supplementary frames."""

import pandas as pd
from polymorphkd.frames import write_frames
from polymorphkd.progress import job, logger
from polymorphkd.provenance import write_json
from polymorphkd.readers import read_frames
from polymorphkd.select import select_rounds
from polymorphkd.settings import Select

with job(snakemake.log[0], "select"):
    settings = Select.model_validate(snakemake.params.settings)
    library = read_frames(snakemake.input.frames).sorted_by_id()
    points = pd.read_parquet(snakemake.input.points).set_index("frame_id", drop=False)
    points = points.loc[library.frame_ids()].drop_duplicates("frame_id")
    chosen, report = select_rounds(points, settings)
    for name, index in chosen.items():
        write_frames(snakemake.output[name], library.take(index).without_labels())
        logger.info("%d %s frames", len(index), name)
    write_json(snakemake.output.coverage, report)
