"""Runs of the stand-in for VASP that fail: verdicts, limits, reruns, kills."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from polymorphkd.frames import from_atoms, write_frames
from polymorphkd.label import gather, label_shard, make_engine
from polymorphkd.readers import read_frames
from vasp_runs import COMMAND, alloy


@pytest.mark.parametrize(
    ("mode", "status", "reason", "retry"),
    [
        ("crash", "crashed", "exit status 11", False),
        ("kill", "crashed", "ended by signal 9", True),
        ("cut", "truncated", "ends too early", True),
        ("silent", "crashed", "before any output", True),
        ("nostress", "crashed", "no stress", False),
        ("unconverged", "unconverged", "20 of at most 20 electronic steps", False),
        ("brmix", "crashed", "brmix", False),
        ("tet", "crashed", "tet; mending it would change SIGMA", False),
        ("edddav", "crashed", "edddav", False),
        ("oom", "crashed", "out_of_memory", True),
    ],
)
def test_every_failure_has_its_status(vasp_label, monkeypatch, mode, status, reason, retry):
    monkeypatch.setenv("VASP_STANDIN", mode)
    result = make_engine(vasp_label(max_scf_steps=20, width=0.1)).calculate(alloy())
    assert (result.status, result.retry) == (status, retry), result.reason
    assert reason in result.reason
    assert result.energy is None


@pytest.mark.parametrize("limit", [{"frozen_time": 1.0}, {"frame_time": 1.0}])
def test_a_run_that_hangs_is_ended(vasp_label, monkeypatch, limit):
    monkeypatch.setenv("VASP_STANDIN", "hang")
    started = time.monotonic()
    result = make_engine(vasp_label(**limit)).calculate(alloy())
    assert result.status == "timeout"
    assert result.retry
    assert "1 s" in result.reason
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(("mode", "starts"), [("edddav:once", 2), ("fast", 2), ("brmix", 3)])
def test_the_solver_is_mended_and_not_for_ever(vasp_label, monkeypatch, tmp_path, mode, starts):
    monkeypatch.setenv("VASP_STANDIN", mode)
    monkeypatch.setenv("VASP_STANDIN_LOG", str(tmp_path / "log"))
    engine = make_engine(vasp_label())
    result = engine.calculate(alloy())
    assert result.status == ("crashed" if mode == "brmix" else "ok"), result.reason
    n_starts = len((tmp_path / "log").read_text().splitlines())
    assert n_starts <= 3 if mode == "brmix" else n_starts == starts


def test_a_rerun_repeats_only_what_machines_did(vasp_label, monkeypatch, tmp_path, aluminium):
    frames, store, log = aluminium.take([0, 1]), tmp_path / "store", tmp_path / "log"
    settings = vasp_label()
    monkeypatch.setenv("VASP_STANDIN_LOG", str(log))

    def starts() -> int:
        before = len(log.read_text().splitlines()) if log.exists() else 0
        label_shard(frames, make_engine(settings), store)
        return len(log.read_text().splitlines()) - before

    monkeypatch.setenv("VASP_STANDIN", "cut")
    assert starts() == 2
    assert starts() == 2
    monkeypatch.setenv("VASP_STANDIN", "")
    assert starts() == 2
    assert starts() == 0
    shard = label_shard(frames, make_engine(settings), store)
    accepted, records = gather([shard], settings, frames)
    assert (records["status"] == "ok").all()
    assert records["entropy"].tolist() == pytest.approx([0.002, 0.002])
    assert set(accepted.meta["fidelity"]) == {"vasp"}
    assert set(records["engine"]) == {"vasp 6.4.2"}


def test_failed_runs_keep_their_files_and_good_ones_do_not(vasp_label, monkeypatch, tmp_path):
    engine = make_engine(vasp_label())
    folder = tmp_path / "runs" / engine.settings_hash / from_atoms([alloy()]).frame_ids()[0]
    monkeypatch.setenv("VASP_STANDIN", "crash")
    engine.calculate(alloy())
    assert (folder / "vasp.out").is_file()
    monkeypatch.setenv("VASP_STANDIN", "")
    assert engine.calculate(alloy()).status == "ok"
    assert not folder.exists()


def test_a_killed_job_leaves_no_program_behind(vasp_label, potentials, tmp_path):
    """kill -9 of the labelling process ends the program that it started."""
    code = (
        "import sys\n"
        "from ase.build import bulk\n"
        "from polymorphkd.label.vasp.engine import VaspEngine\n"
        "from polymorphkd.settings import Vasp\n"
        "VaspEngine(Vasp.model_validate_json(sys.argv[1])).calculate(bulk('Al', cubic=True))\n"
    )
    log = tmp_path / "log"
    environment = {
        **os.environ, "PMG_VASP_PSP_DIR": str(potentials), "VASP_STANDIN": "hang",
        "VASP_STANDIN_LOG": str(log),
    }  # fmt: skip
    section = vasp_label().vasp.model_dump_json()
    process = subprocess.Popen([sys.executable, "-c", code, section], env=environment)
    deadline = time.monotonic() + 60
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    program = int(log.read_text().split()[1])
    process.kill()
    process.wait()
    while Path(f"/proc/{program}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{program}").exists()


@pytest.mark.slow
@pytest.mark.chain
def test_the_workflow_labels_with_vasp(project, potentials, aluminium, monkeypatch):
    """Through Snakemake: a frame that hangs is a row, and the next run labels it."""
    frames = aluminium.take([0, 1])
    write_frames(project.folder / "mine.extxyz", frames)
    log = project.folder / "starts"
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(potentials))
    monkeypatch.setenv("VASP_STANDIN_LOG", str(log))
    vasp = {"command": COMMAND, "potentials": {"Al": "Al"}, "frame_time": 10.0}
    label = {"engine": "vasp", "vasp": vasp, "n_shards": 1, "max_failed_fraction": 0.0}
    inputs = {"standard": "mine.extxyz", "supplementary": "mine.extxyz"}
    project.write({"materials": ["Al"]}, {"elements": ["Al"], "inputs": inputs, "label": label})
    target = "results/Al/label/labelled.extxyz"
    monkeypatch.setenv("VASP_STANDIN", "hang")
    failed = project.run(target, check=False)
    assert failed.returncode
    assert "2 of 2 frames failed" in failed.stdout
    assert "timeout: took longer than 10 s" in failed.stdout
    before = len(log.read_text().splitlines())
    monkeypatch.setenv("VASP_STANDIN", "")
    project.run(target)  # the plain command tries again what timed out
    assert read_frames(project.folder / target).frame_ids() == sorted(frames.frame_ids())
    assert len(log.read_text().splitlines()) == before + 2
    records = pd.read_parquet(project.results / "label/records.parquet")
    assert records["engine"].tolist() == ["vasp 6.4.2"] * 2
