# Teacher labels of the supplementary frames, in shards.


rule relabel_frames:
    input:
        frames=source("supplementary"),
        models=teacher_models,
    output:
        frames="results/{material}/relabel/shards/{shard}.parquet",
        dropped="results/{material}/relabel/shards/{shard}_dropped.parquet",
        records="results/{material}/relabel/shards/{shard}_records.parquet",
    log:
        "results/{material}/logs/relabel_frames/{shard}.log",
    benchmark:
        "results/{material}/benchmarks/relabel_frames/{shard}.tsv"
    conda:
        "../envs/teacher.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        settings=section("relabel"),
        teacher=teacher_settings,
        elements=section("elements"),
        seed=section("seed"),
        algorithm=algorithm("teacher"),
    message:
        "{wildcards.material}: labelling supplementary shard {wildcards.shard} by the teacher"
    script:
        "../scripts/relabel_frames.py"


rule gather_relabelled:
    input:
        shards=shards("results/{material}/relabel/shards/{shard}.parquet", "relabel"),
        dropped=shards("results/{material}/relabel/shards/{shard}_dropped.parquet", "relabel"),
        records=shards("results/{material}/relabel/shards/{shard}_records.parquet", "relabel"),
        test="results/{material}/split/test.extxyz",
        valid="results/{material}/split/valid.extxyz",
        points="results/{material}/landscape/labelled.parquet",
        landscape="results/{material}/landscape/settings.json",
    output:
        frames="results/{material}/relabel/labelled.extxyz",
        records="results/{material}/relabel/records.parquet",
    log:
        "results/{material}/logs/gather_relabelled.log",
    benchmark:
        "results/{material}/benchmarks/gather_relabelled.tsv"
    conda:
        "../envs/teacher.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        split=section("split"),
        landscape=section("landscape"),
        algorithm=algorithm("teacher"),
        code=code("evaluate/cells", "teacher/relabel", "select/split"),
    message:
        "{wildcards.material}: gathering teacher labels"
    script:
        "../scripts/gather_relabelled.py"


rule propose_frames:
    input:
        frames=shards("results/{material}/relabel/shards/{shard}_dropped.parquet", "relabel"),
        records="results/{material}/relabel/records.parquet",
        landscape="results/{material}/landscape/settings.json",
    output:
        frames="results/{material}/relabel/proposals.extxyz",
    log:
        "results/{material}/logs/propose_frames.log",
    benchmark:
        "results/{material}/benchmarks/propose_frames.tsv"
    conda:
        "../envs/teacher.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        most=lambda wildcards: settings(wildcards).relabel.proposals,
        landscape=section("landscape"),
        seed=section("seed"),
        code=code("teacher/proposals", "select", "landscape", "frames", "readers"),
    message:
        "{wildcards.material}: proposing frames for the next round of labels"
    script:
        "../scripts/propose_frames.py"
