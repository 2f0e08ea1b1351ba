"""Settings of the pools: where the jobs that label run, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated

from pydantic import Field

from .base import Count, Positive, Section

PoolName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Pool(Section):
    """Machines of one kind.  Nothing here changes a label."""

    share: Positive = Field(
        1.0, description="Share of the frames, relative to the shares of the other pools"
    )
    partition: str | None = Field(
        None, description="Partition or queue; null leaves it to the profile's default-resources"
    )
    tasks: Count = Field(1, description="MPI processes of a job")
    cpus_per_task: Count = Field(1, description="Cores of each process")
    gpus: int = Field(0, ge=0, description="GPUs of a job")
    memory: int = Field(
        3000,
        ge=100,
        description="Memory of a job, MB; attempt n of a job asks for n times as much",
    )
    runtime: Count = Field(
        240, description="Wall time of a job, min; attempt n asks for n times as much"
    )
    command: str | None = Field(
        None,
        min_length=1,
        description="Command line that starts the engine's program here, such as "
        "`mpirun -np 32 vasp_std`, in place of label.<engine>.command; engines that run inside "
        "the job have none",
    )
    prelude: list[str] = Field(
        [],
        description="Shell lines whose environment the job takes over, such as "
        "`module load vasp/6.4-gpu`",
    )
    environment: dict[VariableName, str] = Field(
        {}, description="Environment variables of the engine's program, set after the prelude"
    )

    @property
    def cores(self) -> int:
        """Cores of a job."""
        return self.tasks * self.cpus_per_task


@lru_cache(maxsize=64)
def _dealt(shares: tuple[tuple[str, float], ...], n_shards: int) -> tuple[str, ...]:
    total = sum(share for _, share in shares)
    given = dict.fromkeys(dict(shares), 0)
    dealt = []
    for shard in range(n_shards):
        # Ties go to the pool that is named first.
        name = max(given, key=lambda n: dict(shares)[n] / total * (shard + 1) - given[n])
        given[name] += 1
        dealt.append(name)
    return tuple(dealt)


def deal_pools(pools: Mapping[str, Pool], n_shards: int) -> tuple[str, ...]:
    """Name of the pool of every shard, so that the counts follow the shares all along.

    Parameters
    ----------
    pools : mapping of str to Pool
    n_shards : int

    Returns
    -------
    tuple of str, length `n_shards`
    """
    return _dealt(tuple((name, pool.share) for name, pool in pools.items()), n_shards)


def check_pools(pools: Mapping[str, Pool], n_shards: int) -> None:
    """Raise ValueError where a pool would get no shard at all."""
    idle = [name for name in pools if name not in deal_pools(pools, n_shards)]
    if idle:
        raise ValueError(
            f"n_shards: {n_shards} is too few for the shares of label.pools: "
            f"{', '.join(idle)} would get no shard; raise n_shards or the share"
        )
