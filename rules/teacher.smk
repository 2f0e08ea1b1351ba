# Message-passing teacher: one job per model of the committee.


rule train_teacher:
    input:
        train="results/{material}/split/train.extxyz",
        valid="results/{material}/split/valid.extxyz",
        foundation=lambda wildcards: settings(wildcards).inputs.foundation or [],
    output:
        model="results/{material}/teacher/model_{k}.model",
        metrics="results/{material}/teacher/metrics_{k}.json",
    log:
        "results/{material}/logs/train_teacher/{k}.log",
    benchmark:
        "results/{material}/benchmarks/train_teacher/{k}.tsv"
    conda:
        "../envs/teacher.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        settings=teacher_settings,
        elements=section("elements"),
        seed=section("seed"),
        algorithm=algorithm("teacher"),
    message:
        "{wildcards.material}: training teacher model {wildcards.k}"
    script:
        "../scripts/train_teacher.py"
