"""Pools: how shards are dealt, what a job takes over, and what may not change."""

from __future__ import annotations

import json
import os
from collections import Counter

import pytest
from ase.io import write
from conftest import COMMON, REPOSITORY, SMALL
from planning import planned_resources
from polymorphkd.errors import EngineError
from polymorphkd.label import make_engine, pools
from polymorphkd.label.pools import for_pool, pool_environment
from polymorphkd.readers import read_frames
from polymorphkd.settings import AseEngine, Label, Pool, deal_pools
from pydantic import ValidationError

TARGET = "results/Al/label/labelled.extxyz"


@pytest.mark.parametrize(("shares", "n_shards"), [((3, 1), 8), ((0.7, 0.3), 10), ((1, 1, 2), 40)])
def test_shards_follow_the_shares_all_along(shares, n_shards):
    pools = {f"p{i}": Pool(share=share) for i, share in enumerate(shares)}
    dealt = deal_pools(pools, n_shards)
    for k in range(1, n_shards + 1):
        counts = Counter(dealt[:k])
        for i, share in enumerate(shares):
            assert abs(counts[f"p{i}"] - k * share / sum(shares)) < len(shares)
    assert Counter(dealt)["p0"] == round(n_shards * shares[0] / sum(shares))


def test_a_pool_without_a_shard_is_refused():
    with pytest.raises(ValidationError, match=r"n_shards: 4 is too few .* gpu would get no shard"):
        Label(n_shards=4, pools={"cpu": {"share": 100}, "gpu": {}})


def test_the_pool_is_no_part_of_the_settings_hash():
    plain = Label(engine="ase")
    pool = Pool(gpus=2, memory=9000, command="mpirun -np 8 engine", environment={"A": "1"})
    spread = Label(engine="ase", pools={"gpu": pool.model_dump()})
    hashes = {make_engine(s).settings_hash for s in (plain, spread, for_pool(spread, pool))}
    assert len(hashes) == 1


def test_the_command_reaches_engines_that_start_a_program_and_no_other():
    class Program(AseEngine):
        command: str = "vasp_std"

    settings = Label(engine="ase").model_copy(update={"ase": Program()})
    pool = Pool(command="mpirun -np 8 vasp_std")
    assert for_pool(settings, pool).ase.command == "mpirun -np 8 vasp_std"
    assert for_pool(settings, Pool()).ase.command == "vasp_std"
    assert for_pool(Label(engine="ase"), pool) == Label(engine="ase")


def test_prelude_and_variables_make_the_environment(monkeypatch):
    monkeypatch.setenv("GONE", "1")
    pool = Pool(
        prelude=["load() { export LOADED=$1; }", "load 'vasp 6'", "unset GONE"],
        environment={"OMP_PLACES": "cores", "LOADED_TOO": "a=b"},
    )
    found = pool_environment("gpu", pool)
    assert found["LOADED"] == "vasp 6"
    assert (found["OMP_PLACES"], found["LOADED_TOO"]) == ("cores", "a=b")
    assert "GONE" not in found
    assert found["PATH"] == os.environ["PATH"]


def test_a_failing_prelude_says_which_and_why():
    pool = Pool(prelude=["echo no such module >&2", "exit 3", "export NEVER=1"])
    with pytest.raises(EngineError, match=r"label\.pools\.gpu\.prelude: .*status 3: no such mod"):
        pool_environment("gpu", pool)


@pytest.fixture
def no_module(monkeypatch):
    """An environment that nothing brought ``module`` to."""
    for name in ("BASH_ENV", "BASH_FUNC_module%%", "MODULESHOME", "LMOD_PKG"):
        monkeypatch.delenv(name, raising=False)


# As sites have it: the profile sets PATH anew and reads a folder of files, one of which fails.
PROFILE = """\
PATH=/usr/local/bin:/usr/bin:/bin
for file in {folder}/profile.d/*.sh; do . $file; done
"""
MODULES = "module() { export LOADED=$2 PATH=/modules/$2/bin:$PATH; }; echo welcome"


@pytest.mark.parametrize("line", ["module load vasp/6.4", "true && module load vasp/6.4"])
def test_a_prelude_knows_module_from_the_profile(tmp_path, monkeypatch, no_module, line):
    (tmp_path / "profile.d").mkdir()
    (tmp_path / "profile.d/broken.sh").write_text("false\n[ -n '' ] && export NEVER=1\n")
    (tmp_path / "profile.d/modules.sh").write_text(MODULES)
    (tmp_path / "profile").write_text(PROFILE.format(folder=tmp_path))
    monkeypatch.setattr(pools, "PROFILE", str(tmp_path / "profile"))
    path = f"/environment/bin:{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    found = pool_environment("gpu", Pool(prelude=[line]))
    assert found["LOADED"] == "vasp/6.4"
    assert found["PATH"].startswith(f"/modules/vasp/6.4/bin:{path}:")


def test_a_prelude_takes_the_start_file_of_modules_before_the_profile(
    tmp_path, monkeypatch, no_module
):
    (tmp_path / "init").mkdir()
    (tmp_path / "init/bash").write_text(MODULES)
    (tmp_path / "profile").write_text("export PROFILE_READ=1")
    monkeypatch.setattr(pools, "PROFILE", str(tmp_path / "profile"))
    monkeypatch.setenv("MODULESHOME", str(tmp_path))
    found = pool_environment("gpu", Pool(prelude=["module load gcc"]))
    assert found["LOADED"] == "gcc"
    assert "PROFILE_READ" not in found


def test_a_prelude_without_module_reads_no_profile(tmp_path, monkeypatch, no_module):
    (tmp_path / "profile").write_text("export PROFILE_READ=1")
    monkeypatch.setattr(pools, "PROFILE", str(tmp_path / "profile"))
    assert "PROFILE_READ" not in pool_environment("gpu", Pool(prelude=["export A=module"]))
    with pytest.raises(EngineError, match=r"module: command not found; .*profile does not define"):
        pool_environment("gpu", Pool(prelude=["module load gcc"]))


@pytest.fixture
def frames_given(project, aluminium):
    """A project whose standard set is there, so that labelling is all there is to do."""
    write(project.folder / "standard.extxyz", aluminium.to_atoms(), format="extxyz")
    return project


def labelling(**label) -> dict:
    label = {"engine": "ase", "n_shards": 4, **label}
    return {**SMALL, "inputs": {"standard": "standard.extxyz"}, "label": label}


def test_jobs_ask_for_the_resources_of_their_pool(frames_given):
    pools = {
        "cpu": {"share": 3, "memory": 4000, "runtime": 90, "tasks": 8, "cpus_per_task": 2},
        "gpu": {"partition": "a100", "gpus": 1, "cpus_per_task": 4},
    }
    frames_given.write(COMMON, labelling(pools=pools))
    profile = ("--profile", str(REPOSITORY / "profiles/slurm"))
    found = planned_resources(frames_given, TARGET, *profile, rule="label_frames")
    dealt = deal_pools(Label(n_shards=4, pools=pools).pools, 4)
    assert sorted(found) == ["0", "1", "2", "3"]
    for shard, resources in found.items():
        if dealt[int(shard)] == "gpu":
            wanted = {"slurm_partition": "a100", "gpu": "1", "cpus_per_task": "4",
                      "mem_mb": "3000", "runtime": "240"}  # fmt: skip
            assert "mpi" not in resources
        else:
            wanted = {"slurm_partition": "cpu", "gpu": "0", "cpus_per_task": "2", "tasks": "8",
                      "mem_mb": "4000", "runtime": "90", "mpi": "mpi"}  # fmt: skip
        assert wanted.items() <= resources.items()


EOS = "results/Al/properties/dft.json"


def test_the_equation_of_state_is_computed_in_the_first_pool(frames_given):
    pools = {"cpu": {"tasks": 8, "memory": 4000, "runtime": 90, "partition": "long"}}
    frames_given.write(COMMON, labelling(pools=pools))
    profile = ("--profile", str(REPOSITORY / "profiles/slurm"))
    resources = planned_resources(frames_given, EOS, *profile)["scan_volumes_dft"]
    wanted = {"slurm_partition": "long", "tasks": "8", "mem_mb": "4000", "runtime": "90"}
    assert wanted.items() <= resources.items()


@pytest.mark.slow
def test_the_equation_of_state_runs_the_prelude_of_its_pool(frames_given):
    mark = frames_given.folder / "prelude"
    frames_given.write(COMMON, labelling(pools={"cpu": {"prelude": [f"touch {mark}"]}}))
    frames_given.run(EOS)
    assert mark.is_file()
    assert "pool cpu" in (frames_given.results / "logs/scan_volumes_dft.log").read_text()
    frames_given.write(COMMON, labelling(pools={"cpu": {"environment": {"POOL": "other"}}}))
    assert "Nothing to be done" in frames_given.run("--dry-run", EOS).stdout


@pytest.mark.slow
def test_other_pools_rerun_nothing_and_change_nothing(frames_given):
    seen = frames_given.folder / "seen"
    pools = {"cpu": {"environment": {"POOL": "cpu"}}, "gpu": {"prelude": ["export POOL=gpu"]}}
    engine = {"calculator": "recording_calculators.RecordingEMT", "arguments": {"log": str(seen)}}
    frames_given.write(COMMON, labelling(ase=engine))
    frames_given.run(TARGET)
    first = read_frames(frames_given.folder / TARGET)
    frames_given.write(COMMON, labelling(ase=engine, pools=pools))
    assert "Nothing to be done" in frames_given.run("--dry-run", TARGET).stdout
    frames_given.run(TARGET, "--forceall")
    again = read_frames(frames_given.folder / TARGET)
    assert again.frame_ids() == first.frame_ids()
    assert json.dumps(again.energy.tolist()) == json.dumps(first.energy.tolist())
    logs = "".join(
        path.read_text() for path in (frames_given.results / "logs/label_frames").iterdir()
    )
    assert "pool cpu" in logs
    assert "pool gpu" in logs
