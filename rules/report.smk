rule make_report:
    input:
        maps=landscape_maps,
        errors="results/{material}/evaluate/errors.json",
        frames=expand("results/{{material}}/evaluate/{model}/frames.parquet", model=MODELS),
        forces=expand("results/{{material}}/evaluate/{model}/forces.parquet", model=MODELS),
        split=expand("results/{{material}}/split/{name}.extxyz", name=["train", "valid", "test"]),
        relabel="results/{material}/relabel/records.parquet",
        students=expand("results/{{material}}/student/{variant}/metrics.json", variant=STUDENTS),
        properties=eos_files,
        nve="results/{material}/deploy/dnn-kd/nve.json",
        nve_curve="results/{material}/deploy/dnn-kd/nve.csv",
        # Absent where the user brought what these stages would have made.
        records=lambda wildcards: (
            []
            if settings(wildcards).inputs.labelled
            else f"results/{wildcards.material}/label/records.parquet"
        ),
        convergence=lambda wildcards: (
            f"results/{wildcards.material}/label/convergence.parquet"
            if wildcards.material in SCANNED
            else []
        ),
        teachers=teacher_metrics,
        selection=lambda wildcards: (
            f"results/{wildcards.material}/select/coverage.json"
            if "library" in framesets(wildcards)
            else []
        ),
        template=f"{workflow.basedir}/workflow/report/report.html.j2",
    output:
        report="results/{material}/report.html",
        summary="results/{material}/summary.json",
    log:
        "results/{material}/logs/make_report.log",
    benchmark:
        "results/{material}/benchmarks/make_report.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        settings=lambda wildcards: settings(wildcards).model_dump(mode="json"),
        framesets=framesets,
        code=code(
            "report",
            "plots/style",
            "label/converge",
            "evaluate/models",
            "evaluate/gather",
            "evaluate/compare",
        ),
    message:
        "{wildcards.material}: writing the report"
    script:
        "../scripts/make_report.py"
