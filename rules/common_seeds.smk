# Helper functions of the seeds: own files and melt-quench runs.


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
