"""Settings of the generator."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .base import Count, Fraction, Positive, Section


class Amplitudes(Section):
    """Sizes of the mutations."""

    displacement: float = Field(
        0.25,
        ge=0,
        le=3,
        description="Standard deviation of the Gaussian displacement, Å",
    )
    displaced_fraction: tuple[Fraction, Fraction] = Field(
        (0.1, 1.0), description="Lowest and highest fraction of atoms displaced"
    )
    volume: float = Field(0.05, ge=0, le=0.5, description="Largest relative volume change")
    shear: float = Field(
        0.04,
        ge=0,
        le=0.3,
        description="Standard deviation of the symmetric shape strain",
    )


class Constraints(Section):
    """What a mutant must obey to join the library."""

    min_distance_factor: float = Field(
        0.85,
        gt=0,
        le=1.5,
        description="Smallest distance of a pair in units of the sum of its covalent radii",
    )
    min_distance: dict[str, Positive] = Field(
        {},
        description="Explicit smallest distance per element pair, Å, e.g. {Al-Al: 2.0}",
    )
    volume_window: tuple[Positive, Positive] = Field(
        (0.80, 1.25),
        description="Allowed volume per atom relative to the median of the seeds",
    )
    angle_window: tuple[
        Annotated[float, Field(gt=0, lt=180)], Annotated[float, Field(gt=0, lt=180)]
    ] = Field((40, 140), description="Allowed cell angles, degrees")
    max_aspect: float = Field(
        5.0,
        ge=1,
        description="Largest ratio of the longest cell edge to the smallest height",
    )


class Generate(Section):
    """Target-directed mutation (PolymorphGen)."""

    strategy: Literal["edges"] = Field(
        "edges", description="edges: targets on the four edges of the landscape box"
    )
    targets_per_edge: Count = Field(6, description="Targets on each edge of the box")
    box_margin: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Expansion of the box of the seeds, as a fraction of its size",
    )
    generations: Count = Field(30, description="Generations per target")
    population: Count = Field(20, description="Individuals per generation and target")
    fresh_fraction: Fraction = Field(
        0.3, description="Share of each generation that are fresh mutants of the seeds"
    )
    amplitudes: Amplitudes = Field(Amplitudes(), description="Sizes of the mutations")
    constraints: Constraints = Field(Constraints(), description="What a mutant must obey")
    n_shards: Count = Field(4, description="Jobs that the targets are dealt to")
