"""Sections of the report about the data: landscape and selection, labels, split."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from ..generate.filling import report as draw_filling
from ..landscape.grid import Box
from ..plots.style import SETS, as_uri
from .blocks import Block, FigureBlock, Image, Origin, Section, TableBlock, TextBlock
from .collect import Run
from .convergence_blocks import convergence_blocks
from .landscape_figures import landscape_figure

METHODS = {
    "grid": "one frame per occupied grid cell",
    "random": "frames drawn at random, as many as one per occupied grid cell",
    "farthest-point": "each frame the farthest on the landscape from those chosen before it",
    "direct": "one frame per cluster (DIRECT) in sS, Q6 and volume",
}
"""What a round keeps, by its method."""

N_REASONS = 12
"""Rows of the table of failures."""


def landscape_section(run: Run) -> Section:
    """Figure of all sets, and how much of the landscape each covers."""
    origins = [Origin("map_frames", f"landscape/{name}.parquet") for name in run.points]
    figure = FigureBlock(
        [landscape_figure(run)],
        "Each point is one structure. sS is the pair entropy of its radial distribution (0 for "
        "an ideal gas, very negative for a perfect crystal), Q6 its average bond order. "
        "Structures of the same order lie together whatever their element or density.",
        [*origins, Origin("evaluate_model", "evaluate/dnn-kd/frames.parquet")],
        wide=True,
    )
    blocks: list[Block] = [figure, _sets_table(run)]
    if run.coverage is None:
        blocks.append(TextBlock("Nothing was selected: the frames came from files of your own."))
    else:
        blocks.append(_coverage_table(run.coverage))
    if run.outcome is not None:
        if run.filling is not None:
            blocks.append(_filling(run.filling, run.outcome))
        blocks.append(_outcome_table(run.outcome))
    else:
        blocks.append(TextBlock("The generator was not part of this run."))
    return Section("landscape", "Landscape", blocks)


def _sets_table(run: Run) -> TableBlock:
    rows = []
    for name, table in run.points.items():
        ranges = [
            f"{table[column].min():.{digits}f} to {table[column].max():.{digits}f}"
            for column, digits in (("sS", 1), ("Q6", 3), ("volume_per_atom", 2))
        ]
        atoms = f"{table['n_atoms'].min()} to {table['n_atoms'].max()}"
        rows.append([SETS[name].name.split(" (")[0], f"{len(table):,}", atoms, *ranges])
    columns = ["set", "frames", "atoms", "sS (kB per atom)", "Q6", "volume (Å³ per atom)"]
    settings = run.landscape or {}
    caption = "Frames of each set and the ranges they span"
    if settings:
        caption += (
            f"; neighbour cutoff {settings['cutoff']:g} Å, σ {settings['sigma']:g} Å, "
            f"r_max {settings['rmax']:g} Å"
        )
    origins = [Origin("map_frames", f"landscape/{name}.parquet") for name in run.points]
    return TableBlock(columns, rows, caption + ".", origins)


def _coverage_table(coverage: dict[str, Any]) -> TableBlock:
    library = coverage["library"]
    rows = [["library", "-", f"{library['points']:,}", "-", *_covered(library)]]
    for entry in coverage["rounds"]:
        step = entry["step"]
        size = f"{step['sS']:.3g} × {step['Q6']:.3g}" if step else "-"
        name = f"after round {entry['round']} ({entry['set']})"
        method, count = entry["method"], f"+{entry['count']:,}"
        rows.append([name, method, count, size, *_covered(entry["so_far"])])
    grid = coverage["grid"]
    left_out = sum(coverage["left_out"].values())
    used = dict.fromkeys(entry["method"] for entry in coverage["rounds"])
    methods = "; ".join(f"{name}: {METHODS[name]}" for name in used)
    return TableBlock(
        ["set", "method", "frames", "grid step (sS × Q6)", "cells occupied", "evenness", "gaps"],
        rows,
        f"Selection in rounds, for DFT and then for the teacher; {methods}. Coverage is "
        f"counted on {grid} × {grid} cells over the library's box; evenness is the entropy of the "
        "occupancy over its largest value (1 is even), gaps are empty cells in the hull. "
        f"{left_out:,} points without sS or listed twice were left out.",
        [Origin("select_frames", "select/coverage.json")],
    )


def _covered(numbers: dict[str, Any]) -> list[str]:
    share = f"{numbers['occupied']} of {numbers['cells']} ({100 * numbers['fraction']:.0f} %)"
    return [share, f"{numbers['uniformity']:.2f}", f"{numbers['gap_cells']}"]


def _filling(table: pd.DataFrame, outcome: dict[str, Any]) -> FigureBlock:
    seeds = table[table["generation"] == 0]
    n = outcome["grid"]
    drawn = draw_filling(table, Box(**outcome["box"]), n)
    text = (
        f"Filling of {n} × {n} cells by the generator: "
        f"{int(table['new'].sum())} cells, {int(seeds['new'].sum())} of them by seeds"
    )
    image = Image(as_uri(drawn), text)
    plt.close(drawn)
    return FigureBlock(
        [image],
        f"How the generator filled the landscape: {text[0].lower()}{text[1:]}. Left: the "
        "generation that reached each cell of the box. Right: cells over individuals.",
        [Origin("merge_library", "generate/filling.parquet")],
        wide=True,
    )


def _outcome_table(outcome: dict[str, Any]) -> TableBlock:
    mutants = outcome["mutants"]
    tried = sum(mutants.values())
    rows = [
        [name, f"{count:,}", f"{100 * count / tried:.1f} %" if tried else "-"]
        for name, count in mutants.items()
    ]
    ended = ", ".join(f"{reason} {count}" for reason, count in outcome["ended"].items())
    return TableBlock(
        ["outcome", "mutants", "share"],
        rows,
        "Mutants of the generator by outcome; all but accepted name the constraint that "
        f"refused them. Searches by why they ended: {ended}. "
        f"The library holds {outcome['library']:,} distinct frames, seeds included.",
        [Origin("merge_library", "generate/outcome.json")],
    )


def label_section(run: Run) -> Section:
    """Status of every DFT calculation, failures with their reasons, and the split."""
    blocks: list[Block] = []
    if run.settings.inputs.labelled:
        blocks.append(
            TextBlock(f"No DFT was run: the labels came from {run.settings.inputs.labelled}.")
        )
    elif run.records is None:
        blocks.append(TextBlock("The records of the DFT calculations are missing in this folder."))
    else:
        blocks.extend(_record_tables(run.records))
    if run.convergence is not None:
        blocks.extend(convergence_blocks(run.convergence, run.settings.label))
    if run.relabel_records is not None:
        blocks.append(_relabel_table(run.relabel_records))
    blocks.append(_split_table(run))
    return Section("labels", "Labels and split", blocks)


def _record_tables(records: pd.DataFrame) -> list[TableBlock | TextBlock]:
    origin = [Origin("gather_labels", "label/records.parquet")]
    rows = []
    for status, group in records.groupby("status"):
        seconds = group["seconds"]
        rows.append(
            [
                str(status), str(len(group)), f"{100 * len(group) / len(records):.0f} %",
                f"{seconds.median():.1f} ({seconds.min():.1f} to {seconds.max():.1f})",
                f"{seconds.sum() / 3600:.2f}",
            ]
        )  # fmt: skip
    engines = ", ".join(sorted(set(records["engine"].dropna())))
    table = TableBlock(
        ["status", "frames", "share", "seconds per label (range)", "hours in all"],
        rows,
        f"DFT calculations by status; engine {engines}. The seconds are those of the calculations "
        "themselves, also where a label was taken from the store of an earlier run.",
        origin,
    )
    failed = records[records["status"] != "ok"]
    if not len(failed):
        return [table, TextBlock("No calculation failed.")]
    # Reasons that differ in their numbers alone are one reason.
    kinds = failed["reason"].str.replace(r"[-+]?\d[\d.e+-]*", "#", regex=True)
    reasons = failed.groupby(["status", kinds.rename("kind")]).agg(
        size=("frame_id", "size"), reason=("reason", "first"), first=("frame_id", "first")
    )
    reasons = reasons.sort_values("size", ascending=False).reset_index()
    caption = "Why frames have no label, with one frame of each kind as an example"
    if len(reasons) > N_REASONS:
        caption += f"; the {N_REASONS} most frequent of {len(reasons)} reasons"
    reason_rows = [
        [str(value) for value in (row["status"], row["reason"], row["size"], row["first"])]
        for _, row in reasons.head(N_REASONS).iterrows()
    ]
    columns = ["status", "reason of the example", "frames", "example frame"]
    return [table, TableBlock(columns, reason_rows, caption + ".", origin, (0, 1))]


def _relabel_table(records: pd.DataFrame) -> TableBlock:
    counts = records["status"].value_counts()
    rows = [
        [str(status), str(count), f"{100 * count / len(records):.1f} %"]
        for status, count in counts.items()
    ]
    return TableBlock(
        ["status", "frames", "share"],
        rows,
        "Supplementary frames, those of their walks included, that the teacher labelled, and "
        "those dropped: because the teacher predicts a force beyond the limit or a label that "
        "is no number, because its members disagree, or because the frame is a near-duplicate "
        "of a test or validation frame or of its family. With relabel.proposals, frames on which "
        "they disagree are in relabel/proposals.extxyz.",
        [Origin("gather_relabelled", "relabel/records.parquet")],
    )


def _split_table(run: Run) -> TableBlock:
    total = sum(run.split.values())
    rows = [
        [name, str(count), f"{100 * count / total:.0f} %"] for name, count in run.split.items()
    ]
    return TableBlock(
        ["set", "frames", "share"],
        rows,
        "DFT frames per set. The split walks the landscape cells, so that each set covers it, and "
        "keeps near-duplicates, parents with children, and siblings together.",
        [Origin("split_frames", f"split/{name}.extxyz") for name in run.split],
    )
