rule select_frames:
    input:
        frames=source("library"),
        points="results/{material}/landscape/library.parquet",
    output:
        standard="results/{material}/select/standard.extxyz",
        supplementary="results/{material}/select/supplementary.extxyz",
        coverage="results/{material}/select/coverage.json",
    log:
        "results/{material}/logs/select_frames.log",
    benchmark:
        "results/{material}/benchmarks/select_frames.tsv"
    conda:
        "../envs/landscape.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        settings=section("select"),
        seed=section("seed"),
        code=code(
            "select/rounds",
            "select/cells",
            "select/baselines",
            "select/duplicates",
            "select_files",
            "landscape/grid",
            "landscape/coverage",
            "frames",
            "fingerprint",
            "readers",
        ),
    message:
        "{wildcards.material}: selecting standard and supplementary frames"
    script:
        "../scripts/select_frames.py"
