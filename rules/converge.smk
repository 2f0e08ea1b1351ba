rule scan_convergence:
    input:
        frames=source("standard"),
        points="results/{material}/landscape/standard.parquet",
    output:
        scan="results/{material}/label/convergence/{frame}.parquet",
    log:
        "results/{material}/logs/scan_convergence/{frame}.log",
    benchmark:
        "results/{material}/benchmarks/scan_convergence/{frame}.tsv"
    # Before the labels: what both need is then in the store.
    priority: 10
    conda:
        "../envs/label.yaml"
    threads: lambda wildcards: settings(wildcards).label.pools[pool_name(wildcards)].cores
    resources:
        slurm_partition=pool_partition,
        mpi=pool_mpi,
        tasks=pool_value("tasks"),
        tasks_per_gpu=0,
        cpus_per_task=pool_value("cpus_per_task"),
        gpu=pool_value("gpus"),
        mem_mb=pool_value("memory", per_attempt=True),
        runtime=pool_value("runtime", per_attempt=True),
    params:
        settings=engine_settings,
        kspacings=lambda wildcards: section("label")(wildcards)["converge"]["kspacings"],
        cutoffs=lambda wildcards: section("label")(wildcards)["converge"]["cutoffs"],
        pool=pool_settings,
        store="results/{material}/label/store",
        algorithm=algorithm("label"),
    message:
        "{wildcards.material}: scanning k-spacing and cutoff on the {wildcards.frame} frame"
    script:
        "../scripts/scan_convergence.py"


rule gather_convergence:
    input:
        scans=expand(
            "results/{{material}}/label/convergence/{frame}.parquet",
            frame=["densest", "typical", "sparsest"],
        ),
    output:
        frames="results/{material}/label/convergence.parquet",
        table="results/{material}/label/convergence.tsv",
        figure="results/{material}/label/convergence.png",
    log:
        "results/{material}/logs/gather_convergence.log",
    benchmark:
        "results/{material}/benchmarks/gather_convergence.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        settings=lambda wildcards: {
            **engine_settings(wildcards),
            "converge": section("label")(wildcards)["converge"],
        },
        code=code("label/converge", "plots/style"),
    message:
        "{wildcards.material}: errors of the settings of the labels"
    script:
        "../scripts/gather_convergence.py"
