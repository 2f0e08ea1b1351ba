"""Paracrystalline diamond from C60: MD, generation, S(Q) and diamond-type atoms.

    python examples/paracrystalline/run.py OUT [--config FILE] [--figure FILE]

Writes OUT/md (LAMMPS input, trajectory), OUT/library.parquet, OUT/filling.png,
OUT/analysis.parquet and OUT/summary.json; a finished MD is not run again.  Diamond-type atoms are
counted by OVITO (``pip install ovito``); without it that column is missing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from polymorphkd.config import read_yaml
from polymorphkd.errors import PolymorphKDError
from polymorphkd.frames import Frames, write_frames
from polymorphkd.generate_files import generate_files
from polymorphkd.lammps import Potential
from polymorphkd.landscape.grid import bounding_box, evenly
from polymorphkd.plots.style import RC, landscape_labels
from polymorphkd.properties.structure_factor import structure_factor
from polymorphkd.provenance import rng, write_json
from polymorphkd.readers import read_at, read_frames, stream
from polymorphkd.seeds.carbon import fullerite
from polymorphkd.seeds.lammps_md import md_frames, md_thermo, run_md, write_md
from polymorphkd.seeds.schedule import Dynamics
from polymorphkd.settings import Generate, Landscape, MDStage

COLOURS = {"MD": "#0072B2", "generated": "#D55E00"}


def molecular_dynamics(config: dict[str, Any], folder: Path) -> Frames:
    """Frames of the MD, from its trajectory if that is there."""
    stages = [MDStage(**stage) for stage in config["stages"]]
    kept = folder / "md.parquet"
    if not kept.is_file():
        work = folder / "md"
        work.mkdir(parents=True, exist_ok=True)
        crystal = fullerite(tuple(config["repeat"]), rng(config["seed"], "C60", "seeds", "turn"))
        style, file = config["potential"]
        dynamics = Dynamics(frames=config["frames"])
        random = rng(config["seed"], "C60", "seeds", "md")
        write_md(work, crystal, Potential(style, file, ("C",)), stages, dynamics, random)
        seconds = run_md(work)
        print(f"MD: {seconds:.0f} s", flush=True)
        write_frames(kept, md_frames(work, md_thermo(work, stages, dynamics)))
    return read_frames(kept)


def diamond_fraction(frames: Frames) -> np.ndarray:
    """Share of atoms in cubic or hexagonal diamond surroundings (OVITO), NaN without OVITO."""
    try:
        from ovito.io.ase import ase_to_ovito
        from ovito.modifiers import IdentifyDiamondModifier
        from ovito.pipeline import Pipeline, StaticSource
    except ImportError:
        print("OVITO is not installed: no counts of diamond-type atoms", file=sys.stderr)
        return np.full(len(frames), np.nan)
    shares = []
    for i in range(len(frames)):
        atoms = frames.atoms(i)
        atoms.info.clear()
        pipeline = Pipeline(source=StaticSource(data=ase_to_ovito(atoms)))
        pipeline.modifiers.append(IdentifyDiamondModifier())
        types = np.asarray(pipeline.compute().particles.structure_types)
        shares.append(float(np.mean(types != 0)))  # 0 is "other"
    return np.array(shares)


def sample(path: Path, config: dict[str, Any], wanted: str) -> Frames:
    """Frames of one kind (``seed`` or generated), spread evenly over the landscape."""
    tables, where = [], []
    for chunk in stream(path):
        tables.append(chunk.frames.meta[["sS", "Q6", "operator"]])
        where.append(chunk.index)
    table = pd.concat(tables, ignore_index=True)
    index = np.concatenate(where)
    mask = (table["operator"] == "seed").to_numpy() == (wanted == "seed")
    xy = table.loc[mask, ["sS", "Q6"]].to_numpy(dtype=float)
    chosen = evenly(xy, bounding_box(xy), config["analysis"]["frames"])
    return read_at(path, index[mask][chosen])


def analyse(frames: Frames, config: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """S(Q) of all frames, and one row per frame."""
    q_max, step = config["analysis"]["q_max"], config["analysis"]["q_step"]
    grid = np.arange(0.5, q_max, step)
    curves = []
    for i in range(len(frames)):
        q, s = structure_factor(frames.positions[frames.atoms_of(i)], frames.cells[i], q_max, step)
        curves.append(np.interp(grid, q, s))
    rows = pd.DataFrame(
        {
            "frame_id": frames.frame_ids(),
            "sS": frames.meta["sS"].to_numpy(),
            "Q6": frames.meta["Q6"].to_numpy(),
            "volume_per_atom": frames.volumes / frames.n_atoms,
            "diamond_fraction": diamond_fraction(frames),
        }
    )
    return pd.DataFrame(np.array(curves), columns=[f"{q:.2f}" for q in grid]), rows


def draw(curves: dict[str, pd.DataFrame], rows: dict[str, pd.DataFrame], path: Path) -> None:
    """Landscape, S(Q) with its spread, and the diamond fraction over the volume."""
    with plt.rc_context(RC):
        figure, (left, middle, right) = plt.subplots(
            1, 3, figsize=(11.5, 3.5), layout="constrained"
        )
        for name, colour in COLOURS.items():
            table = rows[name]
            left.plot(table["sS"], table["Q6"], "o", ms=4, mew=0, color=colour, label=name)
            q = curves[name].columns.astype(float)
            values = curves[name].to_numpy()
            low, high = np.percentile(values, [5, 95], axis=0)
            middle.fill_between(q, low, high, color=colour, alpha=0.25, lw=0)
            middle.plot(q, values.mean(axis=0), color=colour, label=name)
        landscape_labels(left, short=True)
        left.legend()
        middle.set(xlabel="Q (1/Å)", ylabel="S(Q), mean and 5 to 95 %", ylim=(0, None))
        middle.legend()
        for name, colour in COLOURS.items():
            table = rows[name]
            right.plot(
                table["volume_per_atom"], 100 * table["diamond_fraction"], "o", ms=4, mew=0,
                color=colour, clip_on=False,
            )  # fmt: skip
        top = max(1.0, 110 * max(float(t["diamond_fraction"].max()) for t in rows.values()))
        right.set(xlabel="volume per atom (Å³)", ylabel="diamond-type atoms (%)", ylim=(0, top))
        figure.savefig(path, dpi=160)
        plt.close(figure)


def main() -> int:
    """MD, generation, analysis."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the results")
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("config.yaml"))
    parser.add_argument("--figure", type=Path, help="where the figure goes (OUT/analysis.png)")
    arguments = parser.parse_args()
    config, out = read_yaml(arguments.config), arguments.out
    out.mkdir(parents=True, exist_ok=True)
    frames = molecular_dynamics(config, out)
    started = time.process_time()
    done = generate_files(
        [out / "md.parquet"], out / "library.parquet", Generate(**config["generate"]),
        Landscape(**config["landscape"]), config["seed"], 1, out / "filling.png", force=True,
    )  # fmt: skip
    spent = time.process_time() - started
    print(f"{done.n_frames} frames, {done.outcome}", flush=True)
    curves, rows = {}, {}
    for name, kind in (("MD", "seed"), ("generated", "generated")):
        curves[name], rows[name] = analyse(sample(out / "library.parquet", config, kind), config)
    table = pd.concat([t.assign(set=name) for name, t in rows.items()], ignore_index=True)
    table.to_parquet(out / "analysis.parquet")
    draw(curves, rows, arguments.figure or out / "analysis.png")
    summary: dict[str, Any] = {
        "md_frames": len(frames),
        "library": done.n_frames,
        "cells": done.n_cells,
        "cells_of_md": done.n_seed_cells,
        "outcome": done.outcome,
        "generation_cpu_seconds": spent,
    }
    for name, found in rows.items():
        share = found["diamond_fraction"]
        summary[name] = {
            "frames": len(found),
            "diamond_fraction_min_median_max": [
                float(np.nanpercentile(share, p)) if share.notna().any() else None
                for p in (0, 50, 100)
            ],
            "diamond_fraction_std": float(share.std()) if share.count() > 1 else None,
            "sS_range": [float(found["sS"].min()), float(found["sS"].max())],
            "Q6_range": [float(found["Q6"].min()), float(found["Q6"].max())],
        }
    write_json(out / "summary.json", summary)
    print(summary)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PolymorphKDError as error:
        sys.exit(f"ERROR: {error}")
