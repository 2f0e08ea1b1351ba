rule run_seed_md:
    input:
        start_file,
    output:
        frames="results/{material}/seeds/md/{shard}.parquet",
        table="results/{material}/seeds/md/{shard}.tsv",
        record="results/{material}/seeds/md/{shard}.json",
    log:
        "results/{material}/logs/run_seed_md/{shard}.log",
    benchmark:
        "results/{material}/benchmarks/run_seed_md/{shard}.tsv"
    conda:
        "../envs/student.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(720),
    params:
        settings=melt_settings,
        start=melt_start,
        work="results/{material}/seeds/md/work",
        algorithm=algorithm("seeds"),
    message:
        "{wildcards.material}: melt-quench of {params.start}"
    script:
        "../scripts/run_seed_md.py"


rule collect_seeds:
    input:
        user_seeds,
        runs=melt_files("parquet"),
        records=melt_files("json"),
    output:
        frames="results/{material}/seeds/frames.parquet",
    log:
        "results/{material}/logs/collect_seeds.log",
    benchmark:
        "results/{material}/benchmarks/collect_seeds.tsv"
    conda:
        "../envs/landscape.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=section("material", "elements", "seed", "seeds"),
        own=lambda wildcards: settings(wildcards).inputs.seeds,
        code=code("seeds", "frames", "fingerprint", "readers"),
    message:
        "{wildcards.material}: collecting seeds"
    script:
        "../scripts/collect_seeds.py"


rule plot_seed_md:
    input:
        runs=melt_files("parquet"),
        records=melt_files("json"),
        tables=melt_files("tsv"),
        points="results/{material}/landscape/seeds.parquet",
    output:
        table="results/{material}/seeds/md.tsv",
        figure="results/{material}/seeds/md.png",
    log:
        "results/{material}/logs/plot_seed_md.log",
    benchmark:
        "results/{material}/benchmarks/plot_seed_md.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        code=code("seeds/melt_runs", "plots/melt_quench", "plots/style"),
    message:
        "{wildcards.material}: drawing the melt-quench runs"
    script:
        "../scripts/plot_seed_md.py"
