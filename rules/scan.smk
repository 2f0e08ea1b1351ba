# `snakemake student_scan`: error against cost of students of different networks.


use rule train_student as train_scanned with:
    input:
        train="results/{material}/split/train.extxyz",
        valid="results/{material}/split/valid.extxyz",
        relabelled="results/{material}/relabel/labelled.extxyz",
    output:
        model="results/{material}/student/scan/{entry}/potential.lmp",
        metrics="results/{material}/student/scan/{entry}/metrics.json",
    log:
        "results/{material}/logs/train_scanned/{entry}.log",
    benchmark:
        "results/{material}/benchmarks/train_scanned/{entry}.tsv"
    params:
        settings=scanned_settings,
        elements=section("elements"),
        seed=section("seed"),
        algorithm=algorithm("student"),
    message:
        "{wildcards.material}: training student {wildcards.entry} of the scan"


# The crystal is the teacher's: it is there before any student, and the same for all.
rule measure_scanned:
    input:
        model="results/{material}/student/scan/{entry}/potential.lmp",
        valid="results/{material}/split/valid.extxyz",
        crystal="results/{material}/properties/teacher.json",
        template=f"{workflow.basedir}/workflow/templates/in.lammps.j2",
    output:
        result="results/{material}/student/scan/{entry}/result.json",
    log:
        "results/{material}/logs/measure_scanned/{entry}.log",
    benchmark:
        "results/{material}/benchmarks/measure_scanned/{entry}.tsv"
    conda:
        "../envs/student.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        settings=section("deploy"),
        volume=lambda wildcards: settings(wildcards).seeds.volume_per_atom,
        student=scanned_settings,
        elements=section("elements"),
        seed=section("seed"),
        code=code("student/scan", "student/potential", "deploy", "lammps", "template", "evaluate"),
    message:
        "{wildcards.material}: errors and cost of student {wildcards.entry} of the scan"
    script:
        "../scripts/measure_scanned.py"


rule gather_scan:
    input:
        results=scan_results,
    output:
        table="results/{material}/student/scan.tsv",
        figure="results/{material}/student/scan.png",
    log:
        "results/{material}/logs/gather_scan.log",
    benchmark:
        "results/{material}/benchmarks/gather_scan.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("student/scan", "plots/style"),
    message:
        "{wildcards.material}: error against cost of the students of the scan"
    script:
        "../scripts/gather_scan.py"
