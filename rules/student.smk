# Students of one network: dnn sees DFT labels only, dnn-kd the teacher's as well.


rule train_student:
    input:
        train="results/{material}/split/train.extxyz",
        valid="results/{material}/split/valid.extxyz",
        relabelled=relabelled_frames,
    output:
        model="results/{material}/student/{variant}/potential.lmp",
        metrics="results/{material}/student/{variant}/metrics.json",
    log:
        "results/{material}/logs/train_student/{variant}.log",
    benchmark:
        "results/{material}/benchmarks/train_student/{variant}.tsv"
    conda:
        "../envs/student.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(240),
    params:
        settings=student_settings,
        elements=section("elements"),
        seed=section("seed"),
        algorithm=algorithm("student"),
    message:
        "{wildcards.material}: training student {wildcards.variant}"
    script:
        "../scripts/train_student.py"
