from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/common_seeds.smk"
include: "rules/common_label.smk"
include: "rules/common_scan.smk"
include: "rules/seeds.smk"
include: "rules/landscape.smk"
include: "rules/generate.smk"
include: "rules/select.smk"
include: "rules/label.smk"
include: "rules/converge.smk"
include: "rules/split.smk"
include: "rules/teacher.smk"
include: "rules/relabel.smk"
include: "rules/student.smk"
include: "rules/scan.smk"
include: "rules/evaluate.smk"
include: "rules/properties.smk"
include: "rules/deploy.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        expand("results/{material}/report.html", material=MATERIALS),
        expand("results/{material}/summary.json", material=MATERIALS),
        expand("results/{material}/student/dnn-kd/MODEL_CARD.md", material=MATERIALS),
        proposals,
        melt_figures,
        expand("results/{material}/label/convergence.png", material=SCANNED),


# `snakemake converge`: the scans of the labels' settings alone.
rule converge:
    input:
        convergence_figures,


# `snakemake student_scan`: error against cost of the students under student.scan.
rule student_scan:
    input:
        scan_figures,
