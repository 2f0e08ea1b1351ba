rule label_frames:
    input:
        frames=source("standard"),
    output:
        frames="results/{material}/label/shards/{shard}.parquet",
    log:
        "results/{material}/logs/label_frames/{shard}.log",
    benchmark:
        "results/{material}/benchmarks/label_frames/{shard}.tsv"
    conda:
        "../envs/label.yaml"
    threads: lambda wildcards: settings(wildcards).label.pools[pool_name(wildcards)].cores
    resources:
        slurm_partition=pool_partition,
        mpi=pool_mpi,
        tasks=pool_value("tasks"),
        tasks_per_gpu=0,
        cpus_per_task=pool_value("cpus_per_task"),
        gpu=pool_value("gpus"),
        mem_mb=pool_value("memory", per_attempt=True),
        runtime=pool_value("runtime", per_attempt=True),
    params:
        settings=engine_settings,
        pool=pool_settings,
        n_shards=lambda wildcards: settings(wildcards).label.n_shards,
        store="results/{material}/label/store",
        tries=label_tries,
        algorithm=algorithm("label"),
    message:
        "{wildcards.material}: labelling shard {wildcards.shard} of {params.n_shards}"
    script:
        "../scripts/label_frames.py"


rule gather_labels:
    input:
        shards=shards("results/{material}/label/shards/{shard}.parquet", "label"),
        frames=source("standard"),
    output:
        labelled="results/{material}/label/labelled.extxyz",
        records="results/{material}/label/records.parquet",
    log:
        "results/{material}/logs/gather_labels.log",
    benchmark:
        "results/{material}/benchmarks/gather_labels.tsv"
    conda:
        "../envs/label.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=label_settings,
        code=code("label/gather", "label/gates", "frames", "fingerprint", "readers"),
    message:
        "{wildcards.material}: gathering labels"
    script:
        "../scripts/gather_labels.py"
