rule select_frames:
    input:
        frames=source("library"),
        points="results/{material}/landscape/library.parquet",
    output:
        standard="results/{material}/select/standard.extxyz",
        supplementary="results/{material}/select/supplementary.extxyz",
        coverage="results/{material}/select/coverage.json",
    params:
        settings=section("select"),
        code=code("select/rounds", "landscape/grid", "frames"),
    log:
        "results/{material}/logs/select_frames.log",
    benchmark:
        "results/{material}/benchmarks/select_frames.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    conda:
        "../envs/landscape.yaml"
    message:
        "{wildcards.material}: selecting standard and supplementary frames"
    script:
        "../scripts/select_frames.py"
