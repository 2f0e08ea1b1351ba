"""What the workflow costs beyond the engine's own time, at labels of some ten seconds.

    python benchmarks/overhead.py [--frames N] [--seconds S] [--profile PROFILE] [--json FILE]

Labels N frames per job (EMT, and S seconds of sleep in each) in two jobs, and compares the
time of the jobs with the sum of the engine's times in the records.  A job's time counts from
its submission to its end, so the Snakemake inside a batch job is in it.  `cpu` is the CPU time of
Snakemake and both jobs on this machine, nearly all of it overhead, since the engine sleeps.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import yaml
from dag import REPOSITORY, write_frames

JOBS = 2
TYPICAL = 50
"""Frames that one job labels in a large run."""


def label(folder: Path, frames: int, seconds: float, profile: str | None) -> dict[str, float]:
    """Seconds of the engine and of everything, for one job of `frames` frames."""
    (folder / "config/materials").mkdir(parents=True)
    write_frames(folder / "frames.extxyz", JOBS * frames)
    arguments = {"log": str(folder / "log"), "seconds": seconds}
    engine = {"calculator": "recording_calculators.RecordingEMT", "arguments": arguments}
    section = {"engine": "ase", "ase": engine, "n_shards": JOBS}
    material = {"elements": ["Al"], "inputs": {"standard": "frames.extxyz"}, "label": section}
    (folder / "config/config.yaml").write_text(yaml.safe_dump({"materials": ["Al"]}))
    (folder / "config/materials/Al.yaml").write_text(yaml.safe_dump(material))
    paths = [str(REPOSITORY / "tests"), os.environ.get("PYTHONPATH", "")]
    shards = [f"results/Al/label/shards/{i}.parquet" for i in range(JOBS)]
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")),
        *("--directory", str(folder), "--cores", str(JOBS)),
        *(("--profile", profile) if profile else ()), *shards,
    ]  # fmt: skip
    started = time.time()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    total = time.time() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    tables = [pd.read_parquet(folder / shard) for shard in shards]
    engine_seconds = max(float(table["seconds"].sum()) for table in tables)
    inside = pd.concat(
        pd.read_csv(path, sep="\t") for path in (folder / "results/Al/benchmarks").rglob("*.tsv")
    )
    return {
        "total": total, "engine": engine_seconds, "script": float(inside["s"].max()),
        "cpu": used.ru_utime + used.ru_stime,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="4 frames of 1 s each per job")
    parser.add_argument("--frames", type=int, default=10, help="per job")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each label")
    parser.add_argument("--profile", help="such as profiles/slurm; default: this machine")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.frames, arguments.seconds = 4, 1.0
    with tempfile.TemporaryDirectory() as folder:
        found = label(Path(folder), arguments.frames, arguments.seconds, arguments.profile)
    per_label = found["engine"] / arguments.frames
    fixed = found["total"] - found["engine"]
    found |= {
        "per_label": per_label,
        "share_here": fixed / found["engine"],
        # All of it is start and end; nothing grows with the frames but the engine's time.
        "share_typical": fixed / (TYPICAL * per_label),
        "share_of_job_typical": (found["script"] - found["engine"]) / (TYPICAL * per_label),
    }
    for name, value in found.items():
        unit = f"{100 * value:.1f} %" if name.startswith("share") else f"{value:.1f} s"
        print(f"{name:<22s}{unit}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
