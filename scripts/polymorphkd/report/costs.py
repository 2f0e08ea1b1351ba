"""What each stage cost, from the benchmark files that Snakemake writes for every job."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

STAGE_OF_RULE = {
    "run_seed_md": "seeds",
    "collect_seeds": "seeds",
    "plot_seed_md": "seeds",
    "resolve_landscape": "landscape",
    "map_frames": "landscape",
    "make_targets": "generate",
    "evolve_targets": "generate",
    "merge_library": "generate",
    "select_frames": "select",
    "label_frames": "label",
    "gather_labels": "label",
    "scan_convergence": "label",
    "gather_convergence": "label",
    "split_frames": "split",
    "train_teacher": "teacher",
    "relabel_frames": "relabel",
    "gather_relabelled": "relabel",
    "train_student": "student",
    "evaluate_model": "evaluate",
    "gather_errors": "evaluate",
    "scan_volumes": "properties",
    "scan_volumes_dft": "properties",
    "check_lammps": "deploy",
    "write_card": "deploy",
    "make_report": "report",
}
"""Stage that a rule belongs to; a rule that is not named here is a stage of its own."""

COLUMNS = ("stage", "rule", "job", "seconds", "cpu_seconds", "max_rss_MB")


def read_costs(folder: Path) -> pd.DataFrame:
    """One row per job from ``benchmarks/<rule>.tsv`` and ``benchmarks/<rule>/<job>.tsv``.

    Returns
    -------
    DataFrame
        stage, rule, job, seconds (wall time), cpu_seconds and max_rss_MB (missing for jobs
        too short to be sampled), in the order of the files' names; empty without files.
    """
    rows = []
    for path in sorted(folder.rglob("*.tsv")):
        rule, *job = path.relative_to(folder).with_suffix("").parts
        table = pd.read_csv(path, sep="\t", na_values="-")
        rows.append(
            {
                "stage": STAGE_OF_RULE.get(rule, rule),
                "rule": rule,
                "job": "/".join(job),
                "seconds": table["s"].sum(),
                "cpu_seconds": table["cpu_time"].sum(min_count=1),
                "max_rss_MB": table["max_rss"].max(),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def stage_costs(costs: pd.DataFrame) -> pd.DataFrame:
    """Costs summed per stage, in the order of the chain.

    Returns
    -------
    DataFrame
        Index stage; rules (names), jobs (number), seconds, cpu_seconds, cpu_share (of all
        stages), max_rss_MB.
    """
    grouped = costs.groupby("stage", sort=False)
    table = pd.DataFrame(
        {
            "rules": grouped["rule"].unique().map(", ".join),
            "jobs": grouped.size(),
            "seconds": grouped["seconds"].sum(),
            "cpu_seconds": grouped["cpu_seconds"].sum(),
            "max_rss_MB": grouped["max_rss_MB"].max(),
        }
    )
    total = table["cpu_seconds"].sum()
    table["cpu_share"] = table["cpu_seconds"] / total if total else 0.0
    chain = list(dict.fromkeys(STAGE_OF_RULE.values()))
    order = sorted(table.index, key=lambda s: (chain.index(s) if s in chain else len(chain), s))
    return table.loc[order]
