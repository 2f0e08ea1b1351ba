"""`polymorphkd estimate` and the table of labels of `polymorphkd status`, as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from ase.io import write
from conftest import SMALL
from polymorphkd.config import validate
from polymorphkd.estimate import Times, estimate
from polymorphkd.label import make_engine
from polymorphkd.label.result import Result, as_record
from polymorphkd.label.store import Store
from polymorphkd.label_status import ADVICE, label_state, lines
from polymorphkd.settings import Label


def polymorphkd(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "polymorphkd.cli", *arguments]
    environment = {**os.environ, "COLUMNS": "160"}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment)


@pytest.fixture
def run_folder(tmp_path, aluminium) -> Path:
    """A project with a selected standard set of twelve frames and nothing labelled."""
    (tmp_path / "config/materials").mkdir(parents=True)
    (tmp_path / "config/config.yaml").write_text("materials: [Al]\n")
    (tmp_path / "config/materials/Al.yaml").write_text(yaml.safe_dump(SMALL))
    (tmp_path / "results/Al/select").mkdir(parents=True)
    path = tmp_path / "results/Al/select/standard.extxyz"
    write(path, aluminium.to_atoms(), format="extxyz")
    return tmp_path


def store_of(folder: Path) -> Store:
    engine = make_engine(Label(engine="ase"))
    return Store(folder / "results/Al/label/store", engine.settings_hash)


def row(found, stage: str):
    return next(row for row in found.rows if row.stage == stage)


def test_times_follow_the_sizes_and_keep_the_mean():
    n_atoms = np.array([2, 4, 8] * 4)
    times = Times(n_atoms, 0.5 * n_atoms.astype(float) ** 1.5)
    assert times.exponent() == pytest.approx(1.5)
    np.testing.assert_allclose(times.predict(np.array([4, 16])), [4.0, 32.0])
    uneven = Times(n_atoms, np.array([1.0, 9.0, 10.0] * 4))
    assert uneven.predict(n_atoms).sum() == pytest.approx(80.0)
    assert Times(n_atoms, 1.0 / n_atoms).exponent() == 0.0
    two = Times(np.array([2, 8]), np.array([10.0, 1.0]))  # the first one started the engine
    assert two.exponent() == 2.0
    assert two.predict(np.array([2, 8])).sum() == pytest.approx(11.0)


def test_recorded_labels_give_core_hours_of_what_is_left(run_folder, aluminium):
    store = store_of(run_folder)
    for name, n in list(zip(aluminium.frame_ids(), aluminium.n_atoms, strict=True))[:10]:
        done = Result("ok", "", 30.0 * float(n), -1.0, np.zeros((n, 3)), np.zeros(6))
        store.put(name, as_record(done))
    pools = {"cpu": {"tasks": 4}, "gpu": {"cpus_per_task": 2, "runtime": 1}}
    values = {**SMALL, "label": {"engine": "ase", "n_shards": 2, "pools": pools}}
    found = estimate(validate({"material": "Al", **values}, "test"), run_folder / "results/Al")
    label = row(found, "label")
    seconds = 30.0 * aluminium.n_atoms[10:].sum()
    assert label.core_hours == pytest.approx(seconds * (0.5 * 4 + 0.5 * 2) / 3600)
    assert label.what == f"12 frames, {aluminium.n_atoms.sum()} atoms"
    text = "\n".join(found.remarks)
    assert "n_atoms^1.0; 10 of 12" in text
    assert "raise label.n_shards or label.pools.gpu.runtime" in text
    assert "label.pools.cpu.runtime" not in text
    assert row(found, "teacher").core_hours is None
    assert "teacher" in row(found, "sum").what


def test_a_pilot_labels_two_frames_and_keeps_them(run_folder):
    before = polymorphkd("estimate", "Al", cwd=run_folder)
    assert before.returncode == 0, before.stderr
    assert "no label was made with these settings; --pilot measures two" in before.stdout
    done = polymorphkd(
        "estimate", "config/materials/Al.yaml", "--pilot", "--json", "e.json", cwd=run_folder
    )
    assert done.returncode == 0, done.stderr
    assert "2 of 12 labels are there" in done.stdout
    stored = list((run_folder / "results/Al/label/store").rglob("*.json"))
    assert len(stored) == 2
    rows = {row["stage"]: row for row in json.loads((run_folder / "e.json").read_text())["rows"]}
    assert rows["label"]["core_hours"] > 0
    assert rows["label"]["basis"].startswith("2 labels of ")
    # The size of what is stored, against what two labels really take.
    size = sum(path.stat().st_size for path in stored)
    atoms = sum(len(json.loads(path.read_text())["forces"]) for path in stored)
    assert 2 * 700 + 75 * atoms == pytest.approx(size, rel=0.5)


def test_a_pilot_tells_which_gates_its_frames_do_not_pass(run_folder):
    values = {**SMALL, "label": {"engine": "ase", "gates": {"max_force": 1e-9}}}
    settings = validate({"material": "Al", **values}, "test")
    found = estimate(settings, run_folder / "results/Al", pilot=True)
    assert any("pilot: rejected:max_force: max_force" in line for line in found.remarks)


def test_what_is_not_known_is_called_unknown(run_folder):
    (run_folder / "results/Al/select/standard.extxyz").unlink()
    done = polymorphkd("estimate", "Al", cwd=run_folder)
    assert done.returncode == 0, done.stderr
    assert "at most 30 frames of 4 to 8 atoms" in done.stdout
    assert "frames are not selected yet" in done.stdout
    pilot = polymorphkd("estimate", "Al", "--pilot", cwd=run_folder)
    assert pilot.returncode == 1
    assert "a pilot needs frames" in pilot.stderr
    unknown = polymorphkd("estimate", "Cu", cwd=run_folder)
    assert unknown.returncode == 1
    assert "available: Al" in unknown.stderr


def test_recorded_jobs_of_other_stages_are_taken_as_they_are(run_folder):
    folder = run_folder / "results/Al/benchmarks"
    folder.mkdir()
    table = {"s": [100.0], "cpu_time": [7200.0], "max_rss": [900.0]}
    pd.DataFrame(table).to_csv(folder / "train_teacher.tsv", sep="\t")
    found = estimate(validate({"material": "Al", **SMALL}, "test"), run_folder / "results/Al")
    teacher = row(found, "teacher")
    assert (teacher.core_hours, teacher.basis) == (2.0, "the last run")


def fill_store(folder: Path, statuses: list[tuple[str, str]]) -> None:
    store = store_of(folder)
    for i, (status, reason) in enumerate(statuses):
        store.put(f"f{i:02d}", {"status": status, "reason": reason, "seconds": 10.0 + i})
        os.utime(store.path(f"f{i:02d}"), (time.time() - 600 + 60 * i,) * 2)
    # What a killed job leaves: a file that was being written.
    (store.path("f00").parent / ".f99.x.json").write_text('{"status": "o')


def test_status_counts_the_frames_of_an_own_file_and_no_scan(run_folder):
    (run_folder / "results/Al/select/standard.extxyz").rename(run_folder / "own.extxyz")
    material = run_folder / "config/materials/Al.yaml"
    values = yaml.safe_load(material.read_text()) | {"inputs": {"standard": "own.extxyz"}}
    material.write_text(yaml.safe_dump(values))
    fill_store(run_folder, [("ok", "")] * 4)
    for i in range(3):  # newer, of a scan of settings
        Store(run_folder / "results/Al/label/store", "scan").put(f"f{i}", {"status": "crashed"})
    counts = label_state(run_folder / "results/Al").counts
    assert dict(counts) == {"ok": 4, "waiting": 8}


def test_status_shows_states_rate_time_left_and_what_to_do(run_folder):
    failures = [("crashed", "RuntimeError: fell over")] * 2 + [("unconverged", "80 steps")]
    fill_store(run_folder, [("ok", "")] * 4 + failures)
    state = label_state(run_folder / "results/Al")
    assert dict(state.counts) == {"ok": 4, "crashed": 2, "unconverged": 1, "waiting": 5}
    assert state.rate == pytest.approx(60.0, rel=0.01)
    assert state.hours_left == pytest.approx(5 / 60, rel=0.01)
    assert state.failure == "crashed: RuntimeError: fell over"
    text = "\n".join(lines(state))
    assert "60 labels per hour, 5 min left" in text
    assert "a label takes 13.0 s (median)" in text
    assert ADVICE["crashed"] in text
    done = polymorphkd("status", cwd=run_folder)
    assert done.returncode == 0, done.stderr
    assert "commonest failure, 2 times: crashed: RuntimeError: fell over" in done.stdout
    assert "41.7 %" in done.stdout


def test_status_leaves_the_old_records_as_soon_as_labels_are_made_anew(run_folder):
    records = run_folder / "results/Al/label/records.parquet"
    records.parent.mkdir()
    pd.DataFrame({"status": ["ok"] * 11, "reason": [""] * 11}).to_parquet(records)
    # Two of the twelve frames of the file are equal.
    state = label_state(run_folder / "results/Al")
    assert dict(state.counts) == {"ok": 11}
    assert state.age is None
    os.utime(records, (1e9, 1e9))
    fill_store(run_folder, [("ok", "")] * 4)
    state = label_state(run_folder / "results/Al")
    assert dict(state.counts) == {"ok": 4, "waiting": 8}
    assert state.age is not None


def test_advice_goes_by_the_gate_that_rejects(run_folder):
    folder = run_folder / "results/Al/label"
    folder.mkdir()
    table = {"status": ["ok", "rejected:max_force"], "reason": ["", "max_force 20 above 15"]}
    pd.DataFrame(table).to_parquet(folder / "records.parquet")
    assert label_state(folder.parent).advice == ADVICE["rejected:max_force"]
    table["status"][1] = "rejected:energy_window"
    pd.DataFrame(table).to_parquet(folder / "records.parquet")
    assert label_state(folder.parent).advice == ADVICE["rejected"]


def test_watch_goes_on_until_ctrl_c(run_folder):
    fill_store(run_folder, [("ok", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "polymorphkd.cli", "status", "--watch", "1"], cwd=run_folder,
        stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "waiting" in output
