"""How long Snakemake takes to plan the labels of 100,000 frames, and how much memory.

    python benchmarks/dag.py [--frames N] [--shards N] [--quick] [--json FILE]

Writes a set of two-atom cells, gives it to the workflow as the standard set, and times
`snakemake --dry-run` on the whole chain behind it, reading and checking the frames
included.  Wanted: 60 s and 2 GB.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
SECONDS, MEGABYTES = 60, 2000


def write_frames(path: Path, count: int) -> None:
    """Body-centred Al cells, each a little different, as extended XYZ."""
    shifts = np.random.default_rng(1).normal(0, 0.05, (count, 3))
    with path.open("w") as file:
        for x, y, z in 1.6 + shifts:
            file.write(
                '2\nLattice="3.2 0 0 0 3.2 0 0 0 3.2" Properties=species:S:1:pos:R:3 pbc="T T T"\n'
                f"Al 0.0 0.0 0.0\nAl {x:.8f} {y:.8f} {z:.8f}\n"
            )


def plan(folder: Path, frames: int, shards: int) -> dict[str, float]:
    """Seconds and MB of a dry run, and the number of jobs that it plans."""
    (folder / "config/materials").mkdir(parents=True)
    write_frames(folder / "frames.extxyz", frames)
    inputs = {"standard": "frames.extxyz", "supplementary": "frames.extxyz"}
    material = {
        "elements": ["Al"],
        "inputs": inputs,
        "label": {"engine": "ase", "n_shards": shards},
    }
    (folder / "config/config.yaml").write_text(yaml.safe_dump({"materials": ["Al"]}))
    (folder / "config/materials/Al.yaml").write_text(yaml.safe_dump(material))
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")),
        *("--directory", str(folder), "--cores", "1", "--dry-run"),
    ]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = [line.split() for line in (done.stdout + done.stderr).splitlines()]
    jobs = next(int(line[1]) for line in lines if line[:1] == ["total"])
    return {
        "frames": frames,
        "shards": shards,
        "jobs": jobs,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "megabytes": round(usage.ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--shards", type=int, default=2000, help="50 frames each by default")
    parser.add_argument("--quick", action="store_true", help="a fiftieth of it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    arguments = parser.parse_args()
    size = 50 if arguments.quick else 1
    with tempfile.TemporaryDirectory() as folder:
        found = plan(Path(folder), arguments.frames // size, arguments.shards // size)
    print(", ".join(f"{name} {value}" for name, value in found.items()))
    print(f"wanted: {SECONDS} s and {MEGABYTES} MB")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
