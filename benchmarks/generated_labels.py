"""Does DFT accept what the generator makes, and does it span more than MD does?

For Al and Si: seeds from prototypes and short MD (EMT; Stillinger-Weber), a library by
`fill`, and equally many frames of the library (grid selection) and of the MD for GPAW.
Wanted: 98 % of the selected frames converge and pass the gates, and their energies span
more than those of the MD.  Labels are kept under --store, so that a run can go on.

    python benchmarks/generated_labels.py [--quick] [--json FILE] [--store FOLDER]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd
from evidence.origin import origin
from polymorphkd.frames import Frames
from polymorphkd.generate import Context, make_targets, merge_library, write_shard
from polymorphkd.label import gather, label_shard, make_engine
from polymorphkd.landscape import auto_cutoff, points
from polymorphkd.provenance import write_json
from polymorphkd.readers import read_frames
from polymorphkd.seeds.collect import collect
from polymorphkd.select import run_rounds
from polymorphkd.settings import Choice, Round, Settings

sys.path.insert(0, str(Path(__file__).resolve().parent))

GPAW = {
    "smearing": "fermi-dirac", "width": 0.2, "density_tolerance": 1e-3,
    "eigenstates_tolerance": 3e-5, "davidson_steps": 1,
}  # fmt: skip
MATERIALS: dict[str, dict[str, Any]] = {
    "Al": {
        "elements": ["Al"],
        "seeds": {"volume_per_atom": 16.5, "n_atoms": [4, 8], "md": {"snapshots": 6}},
        "label": {"gpaw": {**GPAW, "ecut": 250, "kspacing": 0.32, "width": 0.5},
                  "gates": {"max_entropy": None}},
    },
    "Si": {
        "elements": ["Si"],
        "seeds": {
            "prototypes": ["diamond", "fcc", "bcc", "hcp", "sc", "omega", "a15"],
            "volume_per_atom": 19.0, "n_atoms": [4, 8],
            "md": {
                "snapshots": 6, "temperatures": [600, 2500], "timestep": 2.0,
                "calculator": "polymorphkd.lammps.packaged",
                "arguments": {"style": "sw", "file": "Si.sw", "elements": ["Si"]},
            },
        },
        "generate": {"constraints": {"volume_window": [0.7, 1.3]}},
        "label": {"gpaw": {**GPAW, "ecut": 300, "kspacing": 0.35},
                  "gates": {"max_entropy": None}},
    },
}  # fmt: skip


def settings_of(name: str) -> Settings:
    """Settings of one material: `fill` with 20,000 mutants."""
    values = dict(MATERIALS[name])
    values["generate"] = {"strategy": "fill", **values.get("generate", {})}
    return Settings.model_validate({"material": name, **values})


def spread(frames: Frames, settings: Settings, cutoff: float, count: int) -> Frames:
    """About `count` frames, one per occupied cell of a grid on the landscape."""
    landscape = settings.landscape.model_copy(update={"cutoff": cutoff})
    table = points(frames, landscape)
    return frames.take(run_rounds(table, [("all", Round(count=count))], Choice()).rows)


def library(settings: Settings, seeds: Frames, cutoff: float, folder: Path) -> Frames:
    """Generated frames of one material, without the seeds."""
    landscape = settings.landscape.model_copy(update={"cutoff": cutoff})
    table = points(seeds, landscape)
    targets, box = make_targets(table, settings.generate)
    context = Context(
        seeds, table, box, landscape, settings.generate, settings.seed, settings.material
    )
    write_shard(context, targets, 0, 1, folder / "0.parquet")
    merge_library(seeds, table, [folder / "0.parquet"], folder / "library.parquet")
    made = read_frames(folder / "library.parquet")
    return made.take(np.flatnonzero(made.meta["operator"].to_numpy() != "seed"))


def label(frames: Frames, settings: Settings, store: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Records of all frames, and energies per atom of the accepted ones, eV."""
    labelled = label_shard(frames, make_engine(settings.label), store)
    chosen = settings.label.model_copy(update={"max_failed_fraction": 1.0})
    accepted, records = gather([labelled], chosen)
    assert accepted.energy is not None
    return records, accepted.energy / accepted.n_atoms


def study(name: str, count: int, store: Path) -> dict[str, Any]:
    """Numbers of one material."""
    settings = settings_of(name)
    seeds = collect(settings)
    cutoff = auto_cutoff(seeds)
    md = seeds.take(np.flatnonzero(seeds.meta["source"].str.contains(" MD ").to_numpy()))
    with tempfile.TemporaryDirectory() as folder:
        made = library(settings, seeds, cutoff, Path(folder))
    chosen = spread(made, settings, cutoff, min(count, len(md)))
    own = np.random.default_rng(1).choice(len(md), len(chosen), replace=False)
    started = time.process_time()
    records, energies = label(chosen, settings, store)
    _, md_energies = label(md.take(np.sort(own)), settings, store)
    return {
        "frames": len(records),
        "library": len(made),
        "accepted_fraction": float((records["status"] == "ok").mean()),
        "statuses": {k: int(v) for k, v in records["status"].value_counts().items()},
        "energy_range_generated": float(np.ptp(energies)),
        "energy_range_md": float(np.ptp(md_energies)),
        "cpu_seconds_labels": time.process_time() - started,
        "cutoff": cutoff,
    }


def main() -> None:
    """Label, print a table and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 frames of Al only")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--store", type=Path, help="folder that keeps the labels")
    parser.add_argument("--material", choices=list(MATERIALS), help="only this one")
    arguments = parser.parse_args()
    names = [arguments.material] if arguments.material else list(MATERIALS)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = arguments.store or Path(folder)
        for name in ["Al"] if arguments.quick else names:
            found[name] = study(name, 3 if arguments.quick else 40, store)
            print(name, found[name], flush=True)
    found |= {
        **origin("gpaw", "ase", "numba"),
    }
    if arguments.json:
        write_json(arguments.json, found)


if __name__ == "__main__":
    main()
