"""Melt-quench runs: physics, reproducibility, kills, failures, and their way to the seeds."""

import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write
from melt_runs import ARGON_DYNAMICS, ARGON_STAGES, argon_run, copper_run, stage
from polymorphkd.config import validate
from polymorphkd.errors import ConfigError, EngineError, InputError, StageError
from polymorphkd.lammps import located
from polymorphkd.landscape import points
from polymorphkd.preflight import preflight
from polymorphkd.seeds import collect
from polymorphkd.seeds.ase_md import run_ase
from polymorphkd.seeds.lammps_starts import joined, newest
from polymorphkd.seeds.melt_quench import start_cell, supercell
from polymorphkd.seeds.melt_runs import (
    MeltRun,
    gather,
    melt_run,
    read_runs,
    run_table,
    unmelted,
    with_points,
    write_run,
)  # fmt: skip
from polymorphkd.seeds.prototypes import prototype
from polymorphkd.seeds.schedule import Dynamics, plan
from polymorphkd.settings import Landscape

SCRIPT = Path(__file__).parent / "melt_runs.py"


def material(**melt):
    md = {"timestep": 2.0, "melt_quench": {"frames": 10, **melt}}
    return validate({"material": "Al", "elements": ["Al"], "seeds": {"md": md}}, "test")


def killed_when(program: str, work: Path, pattern: str, count: int) -> None:
    """Start a run in a process of its own and kill it when it has written `count` files."""
    process = subprocess.Popen([sys.executable, str(SCRIPT), program, str(work)])
    try:
        for _ in range(1200):
            if len(list(work.glob(pattern))) >= count:
                break
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.05)
    finally:
        ended = process.poll() is not None
        below = [] if ended else psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(below, timeout=30)  # they may still have been writing
        assert not alive


def test_a_plan_holds_ramps_lines_and_frames():
    stages = [stage("melt", (300, 1300), (10, 10), 2.0), stage("rest", (1300, 1300), None, 0.5)]
    found = plan(stages, Dynamics(timestep=2.0, frames=20))
    assert (found.every, found.frame_every, found.end) == (6, 60, 1250)
    steps = np.array([0, 500, 1000, 1001, 1250])
    assert found.stage_names(steps).tolist() == ["melt"] * 3 + ["rest"] * 2
    aims = found.aims(steps)
    assert aims[:, 0] == pytest.approx([300, 800, 1300, 1300, 1300])
    np.testing.assert_allclose(aims[:, 1], [10, 10, 10, np.nan, np.nan])


def static_volume(atoms, pressure: float) -> float:
    """Volume (Å^3) at which EMT alone has a pressure in GPa: an oracle without MD."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    cell = atoms.cell.copy()
    scales = np.linspace(0.85, 1.03, 40)
    found = []
    for scale in scales:
        atoms.set_cell(cell * scale, scale_atoms=True)
        found.append(-np.trace(atoms.get_stress(voigt=False)) / 3 / units.GPa)
    return (
        float(np.interp(-pressure, -np.array(found), scales)) ** 3
        * atoms.get_volume()
        / (scales[-1] ** 3)
    )


def test_the_barostat_brings_cell_and_pressure_where_they_belong(tmp_path):
    crystal = bulk("Cu", cubic=True).repeat((2, 2, 1))
    dynamics = Dynamics(5.0, 0.1, 0.3, 20)
    stages = [stage("press", (100, 100), (30, 30), 2.0)]
    run = run_ase(
        tmp_path, crystal, EMT(), plan(stages, dynamics), dynamics, np.random.default_rng(5)
    )
    late = run.table[run.table["time_ps"] > 1.0]
    assert late["pressure_bar"].mean() == pytest.approx(3e5, rel=0.05)
    assert late["temperature_K"].mean() == pytest.approx(100, rel=0.25)
    assert late["volume_A3"].mean() == pytest.approx(static_volume(crystal, 30.0), rel=0.02)
    assert len(run.frames) == 20
    assert run.frames.volumes == pytest.approx(run.frames.meta["volume_A3"].to_numpy())


def test_copper_melts_and_the_figure_shows_it(tmp_path):
    from polymorphkd.plots.melt_quench import plot_runs

    dynamics = Dynamics(5.0, 0.05, 0.3, 20)
    stages = [
        stage("melt", (300, 6000), (10, 10), 1.5),
        stage("quench", (6000, 300), (10, 10), 0.5),
    ]
    schedule = plan(stages, dynamics)
    crystal = bulk("Cu", cubic=True).repeat(2)
    run = run_ase(tmp_path, crystal, EMT(), schedule, dynamics, np.random.default_rng(1))
    melted = melt_run("fcc", run)
    table = run_table("fcc", run, schedule, len(crystal))
    found = points(melted.frames, Landscape(cutoff=3.1))
    table = with_points(table, [melted], found)
    kept = table.dropna(subset=["Q6"]).reset_index(drop=True)
    assert len(kept) == 20
    assert kept["Q6"].iloc[0] > 0.4
    assert kept["Q6"].min() < 0.2
    assert kept["sS"].iloc[0] < kept["sS"].max() - 5
    assert table["volume_A3_per_atom"].max() > 1.1 * kept["volume_A3_per_atom"].iloc[0]
    assert unmelted(table) == []
    assert unmelted(table[table["time_ps"] < 0.5]) == ["fcc"]
    assert melted.frames.meta["source"].str.startswith("fcc melt ").sum() == 15
    plot_runs(table, tmp_path / "md.png")
    assert (tmp_path / "md.png").stat().st_size > 10_000


def test_a_run_repeats_itself_and_follows_its_seed(tmp_path):
    first, again, other = (
        copper_run(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    np.testing.assert_array_equal(first.frames.positions, again.frames.positions)
    pd.testing.assert_frame_equal(first.table, again.table)
    assert np.abs(first.frames.positions - other.frames.positions).max() > 0.01
    assert first.frames.meta["stage"].tolist() == ["heat"] * 7 + ["hold"] * 5
    held = first.table[first.table["stage"] == "hold"]
    assert held["volume_A3"].nunique() == 1


def test_a_killed_ase_run_goes_on_from_its_last_block(tmp_path):
    killed_when("ase", tmp_path / "killed", "block-*.npz", 4)
    blocks = sorted((tmp_path / "killed").glob("block-*.npz"))
    written = [path.stat().st_mtime_ns for path in blocks]
    assert 4 <= len(blocks) < 12
    resumed, whole = copper_run(tmp_path / "killed"), copper_run(tmp_path / "whole")
    assert [path.stat().st_mtime_ns for path in blocks] == written
    assert resumed.table["step"].tolist() == whole.table["step"].tolist() == list(range(121))
    np.testing.assert_allclose(resumed.frames.positions, whole.frames.positions, atol=1e-6)
    np.testing.assert_allclose(resumed.frames.cells, whole.frames.cells, atol=1e-6)
    finished = copper_run(tmp_path / "killed", broken_at=1)  # nothing is computed again
    assert not finished.reason
    np.testing.assert_array_equal(finished.frames.positions, resumed.frames.positions)


def test_a_killed_lammps_run_goes_on_from_its_last_restart(tmp_path):
    killed_when("lammps", tmp_path, "start-000/restart.*", 6)
    last = newest([tmp_path / "start-000"], 4800)
    run = argon_run(tmp_path)
    first = int(last.name.split(".")[1])
    assert first > 0
    assert f"restart.{first}" in (tmp_path / "start-001" / "in.lammps").read_text()
    assert not run.reason
    assert run.table["step"].tolist() == list(range(0, 4801, 12))
    assert run.frames.meta["step"].tolist() == list(range(120, 4801, 120))
    assert run.frames.volumes == pytest.approx(run.frames.meta["volume_A3"].to_numpy(), rel=1e-5)
    # What the killed program still did after that step, the new one did again in the same way.
    twice = joined([tmp_path / "start-000"], plan(ARGON_STAGES, ARGON_DYNAMICS)).query(
        f"{first} <= step <= {first + 36}"
    )
    assert len(twice)
    again = run.table.set_index("step").loc[twice["step"]]
    for column in ("volume_A3", "potential_eV", "temperature_K"):
        np.testing.assert_allclose(again[column], twice[column], rtol=1e-3)
    melt = run.table[run.table["stage"] == "melt"]
    assert melt["temperature_K"].iloc[-20:].mean() == pytest.approx(147, rel=0.15)
    found = points(run.frames, Landscape(cutoff=5.2))
    assert found["Q6"].min() < 0.2 < found["Q6"].iloc[0]
    assert (tmp_path / "start-001" / "restart.4800").is_file()


def test_a_torn_restart_file_is_passed_over(tmp_path):
    for step, size in ((100, 5000), (200, 5000), (300, 1200), (400, 5000)):
        (tmp_path / f"restart.{step}").write_bytes(b"x" * size)
    assert newest([tmp_path], 400).name == "restart.200"
    assert newest([tmp_path / "absent"], 400) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"broken_at": 60}, r"after step 5\d: neighbour list overflow"),
        ({"broken_at": 60, "energy": float("nan")}, r"step \d+: the energy is no number"),
    ],
    ids=["exception", "NaN"],
)
def test_a_run_that_breaks_says_where(tmp_path, changes, reason):
    run = copper_run(tmp_path, **changes)
    assert len(run.frames) == 0
    assert re.search(reason, run.reason)


def test_atoms_that_fly_apart_are_a_failed_run(tmp_path):
    hot = [stage("boil", (3000, 3000), (0, 0), 20.0)]
    dynamics = Dynamics(100.0, 0.1, 0.3, 10)
    run = run_ase(
        tmp_path, bulk("Cu", cubic=True), EMT(), plan(hot, dynamics), dynamics,
        np.random.default_rng(1),
    )  # fmt: skip
    assert re.search(r"step \d+: (hotter than 30000 K|the volume left 0.2 to 5)", run.reason)
    lost = argon_run(tmp_path / "argon", replace(ARGON_DYNAMICS, timestep=400.0, frames=4))
    assert lost.reason
    assert len(lost.frames) == 0


def test_failed_runs_are_left_out_until_none_is_left(tmp_path):
    good = melt_run("fcc", copper_run(tmp_path / "run"))
    bad = MeltRun("bcc", good.frames.take([]), "step 40: hotter than 30000 K")
    for k, run in enumerate((good, bad)):
        names = [tmp_path / f"{k}.{suffix}" for suffix in ("parquet", "json", "tsv")]
        write_run(*names, run, pd.DataFrame({"step": [1]}))
    back = read_runs([f"{tmp_path}/{k}.parquet" for k in (0, 1)],
                     [f"{tmp_path}/{k}.json" for k in (0, 1)])  # fmt: skip
    assert json.loads((tmp_path / "1.json").read_text())["status"] == "failed"
    assert [run.reason for run in back] == ["", bad.reason]
    assert gather(back).meta.columns.tolist() == ["source"]
    assert len(gather(back)) == 12
    with pytest.raises(StageError, match=r"every .* failed; take a shorter[^$]*bcc: step 40"):
        gather([bad])
    settings = validate(
        {"material": "Cu", "elements": ["Cu"],
         "seeds": {"prototypes": ["fcc"], "md": {"melt_quench": {}}}}, "test"
    )  # fmt: skip
    seeds = collect(settings, back)
    assert seeds.meta["source"].str.contains(" step ").sum() == 12
    assert not seeds.meta["source"].str.contains(" MD ").any()  # in place of the short runs


def test_starts(tmp_path):
    assert len(start_cell(material(), "fcc")) == 108
    assert len(supercell(prototype("diamond", "Al", 16.5), 60)) == 64
    assert len(supercell(prototype("a15", "Al", 16.5), 2)) == 8
    assert supercell(prototype("sc", "Al", 16.5), 1000).cell.lengths().std() < 1e-9  # at once
    mine = bulk("Al", "bcc", 3.2, cubic=True).repeat(2)
    write(tmp_path / "mine.extxyz", [bulk("Al"), mine])
    cell = start_cell(material(), str(tmp_path / "mine.extxyz"))
    np.testing.assert_allclose(cell.positions, mine.positions, atol=1e-7)
    mine.pbc = [True, True, False]
    write(tmp_path / "slab.extxyz", mine)
    with pytest.raises(InputError, match=r"slab.extxyz: is open along a direction"):
        start_cell(material(), str(tmp_path / "slab.extxyz"))


@pytest.mark.parametrize(
    ("melt", "message"),
    [
        ({"frames": 30_000}, r"200000 steps of 2 fs for 30000 frames; at least 10 steps"),
        ({"program": "lammps"}, r"commands: no line pair_coeff"),
        ({"starts": ["fcc", "fcc"]}, r"starts: a name is given twice"),
        ({"stages": []}, r"stages"),
        ({"stages": [{"name": "a", "temperature": [0, 1], "picoseconds": 1}]}, r"temperature"),
    ],
)
def test_settings_that_make_no_sense(melt, message):
    with pytest.raises(ConfigError, match=message):
        material(**melt)


def test_a_start_that_does_not_exist_is_refused_at_once():
    with pytest.raises(InputError, match=r"starts: gold: no such file, and none of .* fcc, bcc"):
        preflight(material(starts=["gold"]))


def test_files_of_a_potential_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.eam").write_text("x")
    (tmp_path / "Al").write_text("x")  # an element stays an element
    lines = located(["pair_style eam", "pair_coeff * * mine.eam Al", "pair_coeff 1 1 SiC.tersoff"])
    assert lines[:2] == ["pair_style eam", f"pair_coeff * * {tmp_path / 'mine.eam'} Al"]
    assert Path(lines[2].split()[-1]).is_file()


def test_a_calculator_without_stress_is_refused_at_once():
    md = {"calculator": "ase.calculators.tip3p.TIP3P", "melt_quench": {}}
    values = {"material": "O", "elements": ["O"], "seeds": {"md": md}}
    with pytest.raises(EngineError, match=r"seeds.md.calculator: "):
        preflight(validate(values, "test"))
    md["calculator"] = "melt_runs.NoStress"
    values = {"material": "Cu", "elements": ["Cu"], "seeds": {"md": md}}
    with pytest.raises(EngineError, match=r"NoStress gives no stress, which a melt-quench needs"):
        preflight(validate(values, "test"))


@pytest.mark.slow
def test_the_workflow_melts_each_start_in_a_job_of_its_own(project):
    write(project.folder / "mine.extxyz", bulk("Al", "bcc", 3.2, cubic=True).repeat(3))
    melt = {
        "program": "lammps", "starts": ["fcc", "mine.extxyz"], "frames": 5,
        "commands": ["pair_style eam/alloy", "pair_coeff * * Al_zhou.eam.alloy Al"],
        "stages": [{"name": "melt", "temperature": [300, 3000], "pressure": [10, 10],
                    "picoseconds": 1.0}],
    }  # fmt: skip
    values = {"elements": ["Al"], "landscape": {"cutoff": 3.4}, "label": {"engine": "ase"},
              "seeds": {"prototypes": ["fcc"], "md": {"melt_quench": melt}}}  # fmt: skip
    project.write({"materials": ["Al"], "seed": 1}, values)
    project.run("results/Al/seeds/md.png")
    table = pd.read_csv(project.results / "seeds/md.tsv", sep="\t")
    assert table.groupby("start")["Q6"].count().to_dict() == {"fcc": 5, "mine.extxyz": 5}
    melt["starts"] = ["fcc"]
    project.write({"materials": ["Al"], "seed": 1}, values)
    planned = project.planned("results/Al/seeds/md.png")
    assert "collect_seeds" in planned
    assert "run_seed_md" not in planned  # the run of fcc stands
