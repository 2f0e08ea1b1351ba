# The only helper functions of the workflow: settings, files brought from outside, versions.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from polymorphkd import provenance
from polymorphkd.config import load_settings, material_names
from polymorphkd.errors import PolymorphKDError
from polymorphkd.settings import deal_pools
from polymorphkd.tries import next_try

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


def user_seeds(wildcards):
    """The user's own seed files."""
    if not settings(wildcards).inputs.seeds:
        return []
    from polymorphkd.seeds.collect import expand as expand_files

    return [str(path) for path in expand_files(settings(wildcards).inputs.seeds)]


def melt_quench(wildcards):
    """Melt-quench of the material, or None where its seeds come from elsewhere."""
    chosen = settings(wildcards)
    made = not chosen.inputs.seeds and chosen.seeds.md is not None
    return chosen.seeds.md.melt_quench if made else None


def melt_start(wildcards):
    """Prototype or file that the melt-quench run of a shard begins with."""
    return melt_quench(wildcards).starts[int(wildcards.shard)]


def start_file(wildcards):
    """The user's file that a melt-quench run begins with, if it is one."""
    from polymorphkd.seeds.melt_quench import is_prototype

    start = melt_start(wildcards)
    return [] if is_prototype(start) else [start]


def melt_settings(wildcards):
    """All settings that decide a melt-quench run, as few of other stages as can be."""
    values = section("material", "elements", "seed", "seeds")(wildcards)
    seeds = {key: values["seeds"][key] for key in ("volume_per_atom", "md")}
    plan = {k: v for k, v in seeds["md"]["melt_quench"].items() if k != "starts"}
    plan["starts"] = [melt_start(wildcards)]
    unused = ("temperatures", "steps", "snapshots")
    md = {k: v for k, v in seeds["md"].items() if k not in unused}
    return {**values, "seeds": {**seeds, "md": {**md, "melt_quench": plan}}}


def melt_files(suffix):
    """Input function: one file of every melt-quench run; none without them."""

    def get(wildcards):
        plan = melt_quench(wildcards)
        return expand(
            f"results/{wildcards.material}/seeds/md/{{shard}}.{suffix}",
            shard=range(len(plan.starts) if plan else 0),
        )

    return get


def melt_figures(wildcards):
    """Figures of the melt-quench runs of all materials that have some."""
    from types import SimpleNamespace

    names = [SimpleNamespace(material=name) for name in MATERIALS]
    return [
        f"results/{one.material}/seeds/md.png"
        for one in names
        if melt_quench(one) and "seeds" in framesets(one)
    ]


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
    """Files of the model that a wildcard names: the teacher's, or a compressed student."""
    if wildcards.model == "teacher":
        return teacher_models(wildcards)
    return [f"results/{wildcards.material}/student/{wildcards.model}/model.pb"]


def model_settings(wildcards):
    """Settings of the model that a wildcard names."""
    return section("teacher" if wildcards.model == "teacher" else "student")(wildcards)


def generate_settings(wildcards):
    """Settings of the generator without the number of jobs, which changes no result."""
    return {k: v for k, v in section("generate")(wildcards).items() if k != "n_shards"}


def engine_settings(wildcards):
    """The engine's name and its own settings: all that decides a label."""
    values = section("label")(wildcards)
    return {"engine": values["engine"], values["engine"]: values[values["engine"]]}


def label_settings(wildcards):
    """Settings of the labels without what only says where and in how many jobs they are made."""
    values = section("label")(wildcards)
    where = ("n_shards", "pools", "converge", "max_tries")
    return {k: v for k, v in values.items() if k not in where}


def label_tries(wildcards):
    """Number of the try; one more than that of the last run where machines failed frames.

    In a mapping, because Snakemake compares the params of a rule as a set, without their names: from
    {1, 1, 2} to {1, 2, 2} is no change to it.
    """
    path = f"results/{wildcards.material}/label/tries/{wildcards.shard}.json"
    return {"try": next_try(path, settings(wildcards).label.max_tries)}


def growing(value):
    """Resource function: `value` times the attempt, so that what was too little is not asked twice."""
    return lambda wildcards, attempt: value * attempt


def pool_name(wildcards):
    """Pool of the shard that a wildcard names; that of the first shard where none is named."""
    label = settings(wildcards).label
    return deal_pools(label.pools, label.n_shards)[int(wildcards.get("shard", 0))]


def pool_value(key, per_attempt=False):
    """Resource function: a value of the shard's pool, times the attempt where asked."""

    def get(wildcards, attempt):
        value = getattr(settings(wildcards).label.pools[pool_name(wildcards)], key)
        return value * attempt if per_attempt else value

    return get


def pool_partition(wildcards, attempt):
    """Partition of the shard's pool, else what the profile says for every rule."""
    chosen = settings(wildcards).label.pools[pool_name(wildcards)].partition
    default = (workflow.resource_settings.default_resources or {}).get("slurm_partition")
    if chosen or default is None:
        return chosen
    known = {"attempt": attempt, "threads": 1, "input": [], "rulename": "label_frames"}
    return default.evaluate(wildcards, async_run=workflow.async_run, **known).value


def pool_mpi(wildcards):
    """Tells the Slurm plugin that the job starts its own processes; None for one process."""
    return "mpi" if settings(wildcards).label.pools[pool_name(wildcards)].tasks > 1 else None


def pool_settings(wildcards, resources):
    """Pool of a shard as plain data.  That it asks for `resources` keeps it from being a reason
    to run again: a pool changes no label.
    """
    name = pool_name(wildcards)
    values = section("label")(wildcards)["pools"][name]
    return {"name": name, "settings": values, "runtime": resources.get("runtime")}


def convergence_figures(wildcards):
    """Figures of the scans of all materials, for the target that a user asks for by name."""
    if not SCANNED:
        raise WorkflowError(
            "converge: label.converge is null for every material that DFT labels; give it the "
            "lists kspacings (1/Å) and cutoffs (eV), see docs/label.md"
        )
    return expand("results/{material}/label/convergence.png", material=SCANNED)


def relabelled_frames(wildcards):
    """The teacher's labels, which the variant dnn never sees."""
    if wildcards.variant == "dnn":
        return []
    return f"results/{wildcards.material}/relabel/labelled.extxyz"


def dft_scan(wildcards):
    """Equation of state by the labelling engine; none if the labels came from outside."""
    if settings(wildcards).inputs.labelled:
        return []
    return f"results/{wildcards.material}/properties/dft.json"


def proposals(wildcards):
    """Proposals for the next round of labels, of the materials that ask for them."""
    asking = [name for name, one in SETTINGS.items() if one.relabel.proposals]
    return expand("results/{material}/relabel/proposals.extxyz", material=asking)
