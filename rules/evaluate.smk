rule evaluate_model:
    input:
        test="results/{material}/split/test.extxyz",
        points="results/{material}/landscape/labelled.parquet",
        model=model_files,
    output:
        frames="results/{material}/evaluate/{model}/frames.parquet",
        forces="results/{material}/evaluate/{model}/forces.parquet",
    log:
        "results/{material}/logs/evaluate_model/{model}.log",
    benchmark:
        "results/{material}/benchmarks/evaluate_model/{model}.tsv"
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        model=model_settings,
        cells=lambda wildcards: settings(wildcards).split.cells,
        code=code("evaluate", "labelled", "landscape/grid", "frames", "fingerprint", "readers"),
    message:
        "{wildcards.material}: errors of {wildcards.model} on the test set"
    script:
        "../scripts/evaluate_model.py"


rule gather_errors:
    input:
        frames=expand("results/{{material}}/evaluate/{model}/frames.parquet", model=MODELS),
        forces=expand("results/{{material}}/evaluate/{model}/forces.parquet", model=MODELS),
    output:
        errors="results/{material}/evaluate/errors.json",
    log:
        "results/{material}/logs/gather_errors.log",
    benchmark:
        "results/{material}/benchmarks/gather_errors.tsv"
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        models=MODELS,
        seed=section("seed"),
        code=code("evaluate/gather", "evaluate/compare", "labelled"),
    message:
        "{wildcards.material}: gathering the errors of all models"
    script:
        "../scripts/gather_errors.py"
