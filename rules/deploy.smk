# A LAMMPS example that runs as it stands, its check, and the model card.


rule check_lammps:
    input:
        model="results/{material}/student/{variant}/potential.lmp",
        properties="results/{material}/properties/{variant}.json",
        template=f"{workflow.basedir}/workflow/templates/in.lammps.j2",
    output:
        input="results/{material}/student/{variant}/in.lammps",
        structure="results/{material}/student/{variant}/structure.data",
        result="results/{material}/deploy/{variant}/nve.json",
        thermo="results/{material}/deploy/{variant}/nve.csv",
    log:
        "results/{material}/logs/check_lammps/{variant}.log",
    benchmark:
        "results/{material}/benchmarks/check_lammps/{variant}.tsv"
    conda:
        "../envs/student.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(60),
    params:
        settings=section("deploy"),
        student=student_settings,
        elements=section("elements"),
        volume=lambda wildcards: settings(wildcards).seeds.volume_per_atom,
        seed=section("seed"),
        code=code("deploy", "lammps", "template", "processes", "student/potential"),
    message:
        "{wildcards.material}: LAMMPS run of {wildcards.variant} at constant energy"
    script:
        "../scripts/check_lammps.py"


rule write_card:
    input:
        metrics="results/{material}/student/{variant}/metrics.json",
        errors="results/{material}/evaluate/errors.json",
        properties="results/{material}/properties/{variant}.json",
        dft=dft_scan,
        nve="results/{material}/deploy/{variant}/nve.json",
        teachers=metrics_of_its_teacher,
        template=f"{workflow.basedir}/workflow/templates/MODEL_CARD.md.j2",
    output:
        card="results/{material}/student/{variant}/MODEL_CARD.md",
    log:
        "results/{material}/logs/write_card/{variant}.log",
    benchmark:
        "results/{material}/benchmarks/write_card/{variant}.tsv"
    conda:
        "../envs/student.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        elements=section("elements"),
        student=student_settings,
        deploy=section("deploy"),
        label=label_settings,
        own_labels=lambda wildcards: settings(wildcards).inputs.labelled,
        own_teacher=lambda wildcards: settings(wildcards).inputs.teacher,
        pulay_virial=lambda wildcards: settings(wildcards).split.pulay_virial,
        code=code("deploy", "template"),
    message:
        "{wildcards.material}: model card of {wildcards.variant}"
    script:
        "../scripts/write_card.py"
