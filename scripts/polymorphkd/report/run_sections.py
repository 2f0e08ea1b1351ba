"""Sections of the report about the run itself: cost, settings, versions."""

from __future__ import annotations

import yaml

from ..plots.style import WIDE, as_uri, figure
from .blocks import FigureBlock as Figure
from .blocks import Image, Origin, Section, TableBlock, TextBlock
from .collect import Run
from .costs import stage_costs


def cost_section(run: Run) -> Section:
    """Wall and CPU time of every stage."""
    if not len(run.costs):
        text = "No benchmark files: the stages were not run in this folder."
        return Section("cost", "Cost", [TextBlock(text)])
    costs = stage_costs(run.costs)
    rows = [
        [
            str(stage), row["rules"], str(row["jobs"]), f"{row['seconds']:.0f}",
            f"{row['cpu_seconds']:.0f}", f"{100 * row['cpu_share']:.0f} %",
            "-" if row["max_rss_MB"] != row["max_rss_MB"] else f"{row['max_rss_MB']:.0f}",
        ]
        for stage, row in costs.iterrows()
    ]  # fmt: skip
    totals = costs[["jobs", "seconds", "cpu_seconds"]].sum()
    rows.append(
        [
            "all", "", f"{totals['jobs']:.0f}", f"{totals['seconds']:.0f}",
            f"{totals['cpu_seconds']:.0f}", "100 %", f"{costs['max_rss_MB'].max():.0f}",
        ]
    )  # fmt: skip
    origin = [Origin("<rule>", "benchmarks/<rule>/<job>.tsv")]
    table = TableBlock(
        ["stage", "rules", "jobs", "wall (s)", "CPU (s)", "share of CPU", "memory (MB)"],
        rows,
        "Seconds summed over the jobs of each stage (jobs run side by side, so the run took less "
        "than their sum), and the largest memory of a job. A job counts with its last run: labels "
        "taken from the store cost nothing here.",
        origin,
        (0, 1),
    )
    with figure((WIDE[0], 0.34 * len(costs) + 0.8)) as (fig, axes):
        axes.barh(costs.index[::-1], costs["seconds"][::-1], color="#8FA3B8", height=0.68)
        for i, seconds in enumerate(costs["seconds"][::-1]):
            axes.annotate(
                f"{seconds:,.0f} s", (seconds, i), (4, 0), textcoords="offset points", va="center"
            )
        axes.grid(axis="y", visible=False)
        axes.set(xlabel="wall seconds, summed over jobs")
        axes.margins(x=0.1)
        image = Image(as_uri(fig), "Wall seconds of each stage")
    return Section("cost", "Cost", [Figure([image], "Cost of each stage.", origin, True), table])


def provenance_section(run: Run, commit: str, versions: dict[str, str]) -> Section:
    """Commit, versions and every setting."""
    rows = [["commit", commit or "not run from a git checkout"]]
    rows += [[name, version] for name, version in versions.items()]
    table = TableBlock(
        ["what", "version"],
        rows,
        "Code and libraries at the time this page was made.",
        [Origin("make_report", "summary.json")],
        (0, 1),
    )
    text = yaml.safe_dump(
        run.settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True
    )
    own = [f"{key}: {value}" for key, value in run.settings.inputs.model_dump().items() if value]
    note = f"Files brought from outside: {'; '.join(own)}." if own else "No files from outside."
    return Section(
        "provenance",
        "Settings and versions",
        [TextBlock(note), TextBlock(text, "All settings of this run"), table],
    )
