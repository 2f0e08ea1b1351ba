rule collect_seeds:
    input:
        user_seeds,
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
