# Helper functions of all stages: settings, files brought from outside, versions.  Those of one
# stage alone are in common_<stage>.smk.
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from polymorphkd import provenance
from polymorphkd.config import load_settings, material_names
from polymorphkd.errors import PolymorphKDError

MATERIAL_FOLDER = "config/materials"
STUDENTS = ["dnn", "dnn-kd"]
MODELS = ["teacher", *STUDENTS]


def load_all():
    """Settings of every material, checked before any job; one message on bad input."""
    try:
        overrides = workflow.config_settings.overwrite_config
        found = {
            name: load_settings(config, name, MATERIAL_FOLDER, overrides)
            for name in material_names(config)
        }
        if workflow.is_main_process:
            from polymorphkd.preflight import preflight

            for settings_of_one in found.values():
                preflight(settings_of_one)
    except PolymorphKDError as error:
        # Snakemake would print a traceback through this file; the user needs the message.
        sys.exit(f"\nPolymorphKD cannot start.\n  {error}\n")
    return found


SETTINGS = load_all()
MATERIALS = list(SETTINGS)
# Materials whose settings of the labels are scanned.
SCANNED = [n for n, one in SETTINGS.items() if one.label.converge and not one.inputs.labelled]
# Written out once: thousands of jobs ask for them.
PLAIN = {name: one.model_dump(mode="json") for name, one in SETTINGS.items()}


wildcard_constraints:
    material="|".join(MATERIALS),
    shard=r"\d+",
    frame="densest|typical|sparsest",
    k=r"\d+",
    variant="|".join(STUDENTS),
    model="|".join(MODELS),
    entry=r"[\w.-]+",
    frameset="seeds|library|standard|supplementary|labelled",


def settings(wildcards):
    """Settings object of the wildcards' material."""
    return SETTINGS[wildcards.material]


def section(*names):
    """Param function: one top-level section as plain data, or a mapping of several."""

    def get(wildcards):
        values = PLAIN[wildcards.material]
        return values[names[0]] if len(names) == 1 else {name: values[name] for name in names}

    return get


def algorithm(room):
    """Version of a costly room's algorithm; raising it relaunches the stage."""
    return provenance.algorithm_version(room)


def code(*rooms):
    """Param function: digest of the code of cheap rooms; a changed statement reruns the stage.

    A function, so that a batch job reads the code of its own rule alone.
    """
    return lambda wildcards: provenance.code_digest(*rooms)


STAGE_FILES = {
    "seeds": "results/{material}/seeds/frames.parquet",
    "library": "results/{material}/generate/library.parquet",
    "standard": "results/{material}/select/standard.extxyz",
    "supplementary": "results/{material}/select/supplementary.extxyz",
    "labelled": "results/{material}/label/labelled.extxyz",
}


def own_file(wildcards, key):
    """The user's file under inputs.<key>, or None; seeds always pass through their stage."""
    return None if key == "seeds" else getattr(settings(wildcards).inputs, key)


def source(key):
    """Input function: the user's own file where inputs.<key> names one, else the stage's."""

    def get(wildcards):
        return own_file(wildcards, key) or STAGE_FILES[key].format(material=wildcards.material)

    return get


def frameset_file(wildcards):
    """File of the frame set that a wildcard names."""
    return source(wildcards.frameset)(wildcards)


def framesets(wildcards):
    """Frame sets that this run has, given the user's own files."""
    own = settings(wildcards).inputs
    # What lies before the user's own files is never made.
    if own.supplementary and (own.standard or own.labelled):
        early = []
    elif own.library:
        early = ["library"]
    else:
        early = ["seeds", "library"]
    middle = [] if own.labelled else ["standard"]
    return [*early, *middle, "supplementary", "labelled"]


def landscape_maps(wildcards):
    """Landscape tables of all frame sets of this run."""
    return expand(
        "results/{material}/landscape/{frameset}.parquet",
        material=wildcards.material,
        frameset=framesets(wildcards),
    )


def landscape_source(wildcards):
    """Earliest frame set of the run: `cutoff: auto` is resolved on it."""
    return source(framesets(wildcards)[0])(wildcards)


def shards(pattern, stage):
    """Input function: the shard files of a stage."""

    def get(wildcards):
        chosen = getattr(settings(wildcards), stage)
        count = getattr(chosen, "n_jobs", chosen.n_shards)
        return expand(pattern, material=wildcards.material, shard=range(count))

    return get


def teacher_models(wildcards):
    """Model files of the teacher: the user's own, or one per committee member."""
    return settings(wildcards).inputs.teacher or expand(
        "results/{material}/teacher/model_{k}.model",
        material=wildcards.material,
        k=range(settings(wildcards).teacher.n_models),
    )


def eos_files(wildcards):
    """Equations of state: every model, and the engine unless labels came from outside."""
    names = MODELS if settings(wildcards).inputs.labelled else [*MODELS, "dft"]
    return expand(
        "results/{material}/properties/{name}.json", material=wildcards.material, name=names
    )


def model_files(wildcards):
    """Files of the model that a wildcard names: the teacher's, or that of a student."""
    if wildcards.model == "teacher":
        return teacher_models(wildcards)
    return [f"results/{wildcards.material}/student/{wildcards.model}/potential.lmp"]


def teacher_metrics(wildcards):
    """What the trainings of the teacher report; none if its models came from outside."""
    if settings(wildcards).inputs.teacher:
        return []
    return expand(
        "results/{material}/teacher/metrics_{k}.json",
        material=wildcards.material,
        k=range(settings(wildcards).teacher.n_models),
    )


def teacher_settings(wildcards):
    """Settings of the chosen family of teachers alone: another's change no result."""
    chosen = settings(wildcards).teacher
    names = ["kind", chosen.section] + ["environment"] * (chosen.kind != "mace")
    values = {name: section("teacher")(wildcards)[name] for name in names}
    if settings(wildcards).inputs.foundation:
        network = chosen.mace.NETWORK
        values["mace"] = {k: v for k, v in values["mace"].items() if k not in network}
    return values


def model_settings(wildcards):
    """Settings of the model that a wildcard names."""
    if wildcards.model == "teacher":
        return teacher_settings(wildcards)
    return student_settings(wildcards)


def student_settings(wildcards):
    """Settings that act on a student: those of its family, and not the teacher's part for dnn."""
    unused = {"scan", *settings(wildcards).student.unused}
    if "dnn" in (wildcards.get("variant"), wildcards.get("model")):
        unused |= {"dft_probability", "taught"}
    return {k: v for k, v in section("student")(wildcards).items() if k not in unused}


def generate_settings(wildcards):
    """Settings of the generator without the number of jobs, which changes no result."""
    return {k: v for k, v in section("generate")(wildcards).items() if k != "n_shards"}


def growing(value):
    """Resource function: `value` times the attempt, so that what was too little is not asked twice."""
    return lambda wildcards, attempt: value * attempt


def relabelled_frames(wildcards):
    """The teacher's labels, which the variant dnn never sees."""
    if wildcards.variant == "dnn":
        return []
    return f"results/{wildcards.material}/relabel/labelled.extxyz"


def metrics_of_its_teacher(wildcards):
    """What the teacher's trainings report, for the variant that learned from it."""
    return [] if wildcards.variant == "dnn" else teacher_metrics(wildcards)


def dft_scan(wildcards):
    """Equation of state by the labelling engine; none if the labels came from outside."""
    if settings(wildcards).inputs.labelled:
        return []
    return f"results/{wildcards.material}/properties/dft.json"


def proposals(wildcards):
    """Proposals for the next round of labels, of the materials that ask for them."""
    asking = [name for name, one in SETTINGS.items() if one.relabel.proposals]
    return expand("results/{material}/relabel/proposals.extxyz", material=asking)
