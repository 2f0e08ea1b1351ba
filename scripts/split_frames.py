"""Rule split_frames: labelled frames -> training, validation and test sets."""

from logging import INFO, WARNING

import pandas as pd
from polymorphkd.frames import write_frames
from polymorphkd.progress import job, logger
from polymorphkd.pulay import pulay_pressure, without_pulay_stress
from polymorphkd.readers import read_frames
from polymorphkd.select import SETS, split_frames
from polymorphkd.settings import Split

with job(snakemake.log[0], "split"):
    frames = read_frames(snakemake.input.frames).sorted_by_id()
    points = pd.read_parquet(snakemake.input.points).drop_duplicates("frame_id")
    points = points.set_index("frame_id", drop=False).loc[frames.frame_ids()]
    settings = Split.model_validate(snakemake.params.settings)
    names = split_frames(
        points,
        frames.meta,
        settings,
        snakemake.params.seed,
        snakemake.wildcards.material,
    )
    if settings.pulay_pressure:
        logger.info("%g GPa are taken off the pressure of all labels", settings.pulay_pressure)
    frames = without_pulay_stress(frames, settings.pulay_pressure)
    left = pulay_pressure(frames)
    if left is not None:
        logger.log(WARNING if left.certain else INFO, "%s", left.advice)
    for name in SETS:
        part = frames.take((names == name).nonzero()[0])
        logger.info("%d %s frames", len(part), name)
        write_frames(snakemake.output[name], part)
