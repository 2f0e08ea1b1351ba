"""The profiles of clusters: what the jobs of every rule ask for, attempt by attempt."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from conftest import COMMON, REPOSITORY, SMALL
from planning import planned_resources

GPU_RULES = {"train_teacher", "relabel_frames", "train_student"}
PROFILES = {"slurm": ("cpu", "gpu"), "pbs": ("workq", "gpuq"), "lsf": ("normal", "gpu")}


@pytest.mark.parametrize("name", PROFILES)
def test_every_attempt_asks_for_more_and_training_for_a_gpu(project, name):
    if name != "slurm" and find_spec("snakemake_executor_plugin_cluster_generic") is None:
        pytest.skip("the plugin of requirements-cluster.txt is not installed")
    project.write(COMMON, SMALL)
    profile = ("--profile", str(REPOSITORY / "profiles" / name))
    first, third = (
        planned_resources(project, *profile, "--attempt", attempt) for attempt in ("1", "3")
    )
    assert {"label_frames", "evolve_targets", "make_report"} | GPU_RULES < set(first)
    for rule, resources in first.items():
        assert resources["slurm_partition"] == PROFILES[name][rule in GPU_RULES], rule
        gpus = resources.get("gres", resources.get("gpu", "0"))
        assert gpus in (("gpu:1", "1") if rule in GPU_RULES else ("0",)), rule
        for key in ("mem_mb", "runtime"):
            assert int(third[rule][key]) == 3 * int(resources[key]) > 0, (rule, key)
