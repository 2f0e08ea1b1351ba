"""Walk from one shard of the supplementary frames and label it, both with the teacher."""

import numpy as np
from polymorphkd.frames import write_frames
from polymorphkd.label import deal
from polymorphkd.progress import job
from polymorphkd.provenance import atomic_path
from polymorphkd.readers import read_frames
from polymorphkd.settings import Relabel, Teacher
from polymorphkd.teacher import load_teacher
from polymorphkd.teacher.relabel import relabel
from polymorphkd.teacher.walk import walk

with job(snakemake.log[0], "relabel"):
    params = snakemake.params
    settings = Relabel.model_validate(params.settings)
    frames = deal(
        read_frames(snakemake.input.frames), int(snakemake.wildcards.shard), settings.n_shards
    )
    models = snakemake.input.models
    teacher = load_teacher(
        Teacher.model_validate(params.teacher),
        [models] if isinstance(models, str) else models,
        params.elements,
    )
    if settings.walk.steps:
        frames = walk(frames, teacher, settings, params.seed, snakemake.wildcards.material)
    kept, records = relabel(frames, teacher, settings)
    write_frames(snakemake.output.frames, kept)
    dropped = frames.take(np.flatnonzero(records["status"] != "ok"))
    write_frames(snakemake.output.dropped, dropped)
    with atomic_path(snakemake.output.records) as path:
        records.to_parquet(path, index=False)
