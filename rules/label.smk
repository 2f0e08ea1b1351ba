def engine_settings(wildcards):
    """The engine's name and its own settings: all that decides a label."""
    values = section("label")(wildcards)
    return {"engine": values["engine"], values["engine"]: values[values["engine"]]}


rule label_frames:
    input:
        frames=source("standard"),
    output:
        frames="results/{material}/label/shards/{shard}.parquet",
    params:
        settings=engine_settings,
        n_shards=lambda wildcards: settings(wildcards).label.n_shards,
        store="results/{material}/label/store",
        algorithm=algorithm("label"),
    log:
        "results/{material}/logs/label_frames/{shard}.log",
    benchmark:
        "results/{material}/benchmarks/label_frames/{shard}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    conda:
        "../envs/label.yaml"
    message:
        "{wildcards.material}: labelling shard {wildcards.shard} of {params.n_shards}"
    script:
        "../scripts/label_frames.py"


rule gather_labels:
    input:
        shards=shards("results/{material}/label/shards/{shard}.parquet", "label"),
    output:
        labelled="results/{material}/label/labelled.extxyz",
        records="results/{material}/label/records.parquet",
    params:
        settings=section("label"),
        code=code("label/gather", "frames"),
    log:
        "results/{material}/logs/gather_labels.log",
    benchmark:
        "results/{material}/benchmarks/gather_labels.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    conda:
        "../envs/label.yaml"
    message:
        "{wildcards.material}: gathering labels"
    script:
        "../scripts/gather_labels.py"
