rule resolve_landscape:
    input:
        frames=landscape_source,
    output:
        settings="results/{material}/landscape/settings.json",
    log:
        "results/{material}/logs/resolve_landscape.log",
    benchmark:
        "results/{material}/benchmarks/resolve_landscape.tsv"
    conda:
        "../envs/landscape.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        settings=section("landscape"),
        code=code("landscape", "frames", "fingerprint", "readers"),
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
    log:
        "results/{material}/logs/map_frames/{frameset}.log",
    benchmark:
        "results/{material}/benchmarks/map_frames/{frameset}.tsv"
    conda:
        "../envs/landscape.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        code=code("landscape", "frames", "fingerprint", "readers"),
    message:
        "{wildcards.material}: mapping {wildcards.frameset}"
    script:
        "../scripts/map_frames.py"
