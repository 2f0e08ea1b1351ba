rule scan_volumes_dft:
    output:
        properties="results/{material}/properties/dft.json",
    params:
        engine=engine_settings,
        settings=section("properties"),
        element=lambda wildcards: settings(wildcards).elements[0],
        volume=lambda wildcards: settings(wildcards).seeds.volume_per_atom,
        algorithm=(algorithm("properties"), algorithm("label")),
    log:
        "results/{material}/logs/scan_volumes_dft.log",
    benchmark:
        "results/{material}/benchmarks/scan_volumes_dft.tsv"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    conda:
        "../envs/label.yaml"
    message:
        "{wildcards.material}: equation of state by DFT"
    script:
        "../scripts/scan_volumes_dft.py"


rule scan_volumes:
    input:
        model=model_files,
    output:
        properties="results/{material}/properties/{model}.json",
    params:
        model=model_settings,
        settings=section("properties"),
        element=lambda wildcards: settings(wildcards).elements[0],
        volume=lambda wildcards: settings(wildcards).seeds.volume_per_atom,
        code=code("properties", "evaluate/models", "frames"),
    log:
        "results/{material}/logs/scan_volumes/{model}.log",
    benchmark:
        "results/{material}/benchmarks/scan_volumes/{model}.tsv"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=30,
    conda:
        "../envs/student.yaml"
    message:
        "{wildcards.material}: equation of state by {wildcards.model}"
    script:
        "../scripts/scan_volumes.py"
