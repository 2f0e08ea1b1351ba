rule resolve_landscape:
    input:
        frames=landscape_source,
    output:
        settings="results/{material}/landscape/settings.json",
    params:
        settings=section("landscape"),
        code=code("landscape", "frames"),
    log:
        "results/{material}/logs/resolve_landscape.log",
    benchmark:
        "results/{material}/benchmarks/resolve_landscape.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    conda:
        "../envs/landscape.yaml"
    message:
        "{wildcards.material}: fixing the settings of the landscape"
    script:
        "../scripts/resolve_landscape.py"


rule map_frames:
    input:
        frames=frameset_file,
        settings="results/{material}/landscape/settings.json",
    output:
        points="results/{material}/landscape/{frameset}.parquet",
    params:
        code=code("landscape", "frames"),
    log:
        "results/{material}/logs/map_frames/{frameset}.log",
    benchmark:
        "results/{material}/benchmarks/map_frames/{frameset}.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    conda:
        "../envs/landscape.yaml"
    message:
        "{wildcards.material}: mapping {wildcards.frameset}"
    script:
        "../scripts/map_frames.py"
