rule split_frames:
    input:
        frames=source("labelled"),
        points="results/{material}/landscape/labelled.parquet",
    output:
        train="results/{material}/split/train.extxyz",
        valid="results/{material}/split/valid.extxyz",
        test="results/{material}/split/test.extxyz",
    log:
        "results/{material}/logs/split_frames.log",
    benchmark:
        "results/{material}/benchmarks/split_frames.tsv"
    conda:
        "../envs/landscape.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=section("split"),
        seed=section("seed"),
        code=code(
            "select/split",
            "select/duplicates",
            "landscape/grid",
            "frames",
            "labelled",
            "pulay",
            "fingerprint",
            "readers",
        ),
    message:
        "{wildcards.material}: splitting into training, validation and test sets"
    script:
        "../scripts/split_frames.py"
