"""Rule split_frames: labelled frames -> training, validation and test sets."""

import pandas as pd
from polymorphkd.frames import write_frames
from polymorphkd.progress import job, logger
from polymorphkd.pulay import pulay_virial, without_pulay_stress
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
    found = pulay_virial(frames)
    if found is not None and found.telling:
        logger.info("%s", found.advice(settings.pulay_virial))
    if settings.pulay_virial:
        logger.info("%g eV per atom are taken off V p of all labels", settings.pulay_virial)
    frames = without_pulay_stress(frames, settings.pulay_virial)
    for name in SETS:
        part = frames.take((names == name).nonzero()[0])
        logger.info("%d %s frames", len(part), name)
        write_frames(snakemake.output[name], part)
