# Errors of every model on the held-out DFT frames.


rule evaluate_model:
    input:
        test="results/{material}/split/test.extxyz",
        train="results/{material}/split/train.extxyz",
        valid="results/{material}/split/valid.extxyz",
        landscape="results/{material}/landscape/settings.json",
        model=lambda wc: (
            teacher_models(wc)
            if wc.model == "teacher"
            else f"results/{wc.material}/student/{wc.model}/model.pb"
        ),
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
        mem_mb=3000,
        runtime=30,
    params:
        landscape=section("landscape"),
        split=section("split"),
        model=lambda wc: section("teacher" if wc.model == "teacher" else "student")(wc),
        code=code("evaluate", "landscape", "frames"),
    message:
        "{wildcards.material}: errors of {wildcards.model} on the test set"
    script:
        "../scripts/evaluate_model.py"


rule gather_errors:
    input:
        frames=expand(
            "results/{{material}}/evaluate/{model}/frames.parquet",
            model=["teacher", "dnn", "dnn-kd"],
        ),
        forces=expand(
            "results/{{material}}/evaluate/{model}/forces.parquet",
            model=["teacher", "dnn", "dnn-kd"],
        ),
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
        mem_mb=1000,
        runtime=10,
    params:
        models=["teacher", "dnn", "dnn-kd"],
        seed=section("seed"),
        code=code("evaluate"),
    message:
        "{wildcards.material}: gathering the errors of all models"
    script:
        "../scripts/gather_errors.py"
