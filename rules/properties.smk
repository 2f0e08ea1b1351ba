rule scan_volumes_dft:
    output:
        properties="results/{material}/properties/dft.json",
    log:
        "results/{material}/logs/scan_volumes_dft.log",
    benchmark:
        "results/{material}/benchmarks/scan_volumes_dft.tsv"
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
        engine=engine_settings,
        pool=pool_settings,
        settings=section("properties"),
        element=lambda wildcards: settings(wildcards).elements[0],
        volume=lambda wildcards: settings(wildcards).seeds.volume_per_atom,
        algorithm=(algorithm("properties"), algorithm("label")),
    message:
        "{wildcards.material}: equation of state by DFT"
    script:
        "../scripts/scan_volumes_dft.py"


rule scan_volumes:
    input:
        model=model_files,
    output:
        properties="results/{material}/properties/{model}.json",
    log:
        "results/{material}/logs/scan_volumes/{model}.log",
    benchmark:
        "results/{material}/benchmarks/scan_volumes/{model}.tsv"
    conda:
        "../envs/student.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        model=model_settings,
        settings=section("properties"),
        element=lambda wildcards: settings(wildcards).elements[0],
        volume=lambda wildcards: settings(wildcards).seeds.volume_per_atom,
        code=code("properties", "evaluate/models", "frames", "fingerprint"),
    message:
        "{wildcards.material}: equation of state by {wildcards.model}"
    script:
        "../scripts/scan_volumes.py"
