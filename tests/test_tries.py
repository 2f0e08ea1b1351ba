"""Frames that machines failed are tried again by the next runs of snakemake, and no others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import COMMON
from polymorphkd.frames import write_frames
from polymorphkd.tries import next_try, note_try

TARGET = "results/Al/label/labelled.extxyz"


def test_tries_are_counted_while_frames_wait(tmp_path):
    path = tmp_path / "tries/0.json"
    assert next_try(path, 3) == 1
    note_try(path, 1, 0)
    assert next_try(path, 3) == 1
    note_try(path, 1, 2)
    assert next_try(path, 3) == 2
    note_try(path, 2, 1)
    assert (next_try(path, 3), next_try(path, 2)) == (3, 2)
    path.write_text('{"tries": 2')
    assert next_try(path, 3) == 1


@pytest.mark.chain
@pytest.mark.slow
@pytest.mark.parametrize("n_shards", [2, 3])  # 2 is the number of the second try, too
def test_a_plain_rerun_tries_again_what_machines_failed(project, aluminium, n_shards):
    write_frames(project.folder / "standard.extxyz", aluminium)
    volumes = np.sort(aluminium.volumes / aluminium.n_atoms)
    arguments = {"log": str(project.folder / "log"), "mended": str(project.folder / "mended")}
    calculator = "recording_calculators.UnluckyEMT"
    arguments["dense"] = float(volumes[2] - 1e-6)  # two frames
    material = {
        "elements": ["Al"],
        "inputs": {"standard": "standard.extxyz", "supplementary": "standard.extxyz"},
        "label": {
            "engine": "ase", "n_shards": n_shards, "max_failed_fraction": 0.5, "max_tries": 3,
            "ase": {"calculator": calculator, "arguments": arguments},
        },
    }  # fmt: skip
    project.write(COMMON, material)

    def run():
        project.run(TARGET)
        status = pd.read_parquet(project.results / "label/records.parquet")["status"]
        lines = (project.folder / "log").read_text().splitlines()
        # Without the single atoms at the origin that preflight asks the calculator for.
        return status.value_counts().to_dict(), sum(float(line.split()[1]) != 0 for line in lines)

    assert run() == ({"ok": 10, "crashed": 2}, 10)
    shards = {path: path.stat().st_mtime_ns for path in project.results.glob("label/shards/*")}
    assert project.planned(TARGET) == {"label_frames", "gather_labels"}
    assert run() == ({"ok": 10, "crashed": 2}, 10)
    again = {path for path, before in shards.items() if path.stat().st_mtime_ns != before}
    assert 1 <= len(again) <= 2  # only the shards of these two frames
    (project.folder / "mended").touch()
    assert run() == ({"ok": 12}, 12)
    assert project.planned(TARGET) == set()
    # Where the machine never mends itself, the tries end.
    (project.folder / "mended").unlink()
    for path in (project.results / "label/store").rglob("*.json"):
        path.unlink()
    project.run(TARGET, "--forcerun", "label_frames")
    assert project.planned(TARGET) == set()
