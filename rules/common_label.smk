# Helper functions of the labels: settings that decide them, tries, pools of nodes.
from snakemake.exceptions import WorkflowError

from polymorphkd.settings import deal_pools
from polymorphkd.tries import next_try


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

    In a mapping, because Snakemake compares params as a set, without their names, and sees no change
    from {1, 1, 2} to {1, 2, 2}.
    """
    path = f"results/{wildcards.material}/label/tries/{wildcards.shard}.json"
    return {"try": next_try(path, settings(wildcards).label.max_tries)}


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
