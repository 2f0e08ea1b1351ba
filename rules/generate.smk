rule make_targets:
    input:
        points="results/{material}/landscape/seeds.parquet",
    output:
        targets="results/{material}/generate/targets.tsv",
        box="results/{material}/generate/box.json",
    log:
        "results/{material}/logs/make_targets.log",
    benchmark:
        "results/{material}/benchmarks/make_targets.tsv"
    conda:
        "../envs/landscape.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        settings=generate_settings,
        code=code("generate/targets", "landscape/grid"),
    message:
        "{wildcards.material}: placing targets"
    script:
        "../scripts/make_targets.py"


rule evolve_targets:
    input:
        frames="results/{material}/seeds/frames.parquet",
        points="results/{material}/landscape/seeds.parquet",
        landscape="results/{material}/landscape/settings.json",
        targets="results/{material}/generate/targets.tsv",
        box="results/{material}/generate/box.json",
    output:
        frames="results/{material}/generate/shards/{shard}.parquet",
        outcome="results/{material}/generate/shards/{shard}.json",
    log:
        "results/{material}/logs/evolve_targets/{shard}.log",
    benchmark:
        "results/{material}/benchmarks/evolve_targets/{shard}.tsv"
    conda:
        "../envs/landscape.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        settings=generate_settings,
        n_shards=lambda wildcards: settings(wildcards).generate.n_jobs,
        seed=section("seed"),
        code=code("generate", "landscape", "frames", "fingerprint", "readers"),
    message:
        "{wildcards.material}: evolving targets, shard {wildcards.shard}"
    script:
        "../scripts/evolve_targets.py"


rule merge_library:
    input:
        frames="results/{material}/seeds/frames.parquet",
        points="results/{material}/landscape/seeds.parquet",
        shards=shards("results/{material}/generate/shards/{shard}.parquet", "generate"),
        outcomes=shards("results/{material}/generate/shards/{shard}.json", "generate"),
        box="results/{material}/generate/box.json",
    output:
        library="results/{material}/generate/library.parquet",
        outcome="results/{material}/generate/outcome.json",
        filling="results/{material}/generate/filling.parquet",
        figure="results/{material}/generate/filling.png",
    log:
        "results/{material}/logs/merge_library.log",
    benchmark:
        "results/{material}/benchmarks/merge_library.tsv"
    conda:
        "../envs/landscape.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        grid=lambda wildcards: settings(wildcards).generate.grid,
        code=code("generate/library", "generate/filling", "frames", "fingerprint", "readers"),
    message:
        "{wildcards.material}: merging the library"
    script:
        "../scripts/merge_library.py"
