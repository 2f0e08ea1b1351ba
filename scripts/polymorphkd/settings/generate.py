"""Settings of the generator."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from .base import Count, Fraction, ImportPath, Positive, Section

PUBLISHED: dict[str, Any] = {
    "strategy": "edges",
    "targets_per_edge": 10,
    "generations": 30,
    "population": 50,
    "fresh_fraction": 0.3,
    "box_margin": 0.1,
    "amplitudes": {
        "displacement": 0.1,
        "displaced_fraction": (0.1, 0.3),
        "volume": 0.01,
        "shear": 0.0087,
    },
}
"""What the authors' program does: 0.1 Å on 10-30 % of the atoms, 1 % volume, 1 degree."""


class Displacements(Section):
    """How often each kind of displacement is taken, as relative weights."""

    gaussian: float = Field(1.0, ge=0, description="Independent steps of a share of the atoms")
    wave: float = Field(
        0.0, ge=0, description="All atoms along one random wave vector of the cell (a phonon)"
    )
    swap: float = Field(0.0, ge=0, description="Exchange of unlike atoms (alloys)")
    hop: float = Field(0.0, ge=0, description="One atom to the largest of some random voids")

    @model_validator(mode="after")
    def _one_at_least(self) -> Displacements:
        if not self.gaussian + self.wave + self.swap + self.hop:
            raise ValueError("all weights are zero; give at least one kind of displacement")
        return self


class Amplitudes(Section):
    """Sizes of the mutations."""

    displacement: float = Field(
        0.1,
        ge=0,
        le=3,
        description="Standard deviation of the Gaussian displacement, Å",
    )
    displaced_fraction: tuple[Fraction, Fraction] = Field(
        (0.1, 0.3), description="Lowest and highest fraction of atoms displaced"
    )
    volume: float = Field(0.1, ge=0, le=0.5, description="Largest relative volume change")
    shear: float = Field(
        0.04,
        ge=0,
        le=0.3,
        description="Standard deviation of the symmetric shape strain",
    )


class Gate(Section):
    """A cheap calculator that refuses mutants of high force or energy."""

    calculator: ImportPath = Field(
        "ase.calculators.emt.EMT", description="Import path of the ASE calculator class"
    )
    arguments: dict[str, Any] = Field({}, description="Keyword arguments of the calculator")
    max_force: Positive | None = Field(None, description="Largest force on an atom, eV/Å")
    max_energy: Positive | None = Field(
        None, description="Largest energy above that of the lowest seed, eV per atom"
    )

    @model_validator(mode="after")
    def _a_limit(self) -> Gate:
        if self.max_force is None and self.max_energy is None:
            raise ValueError("give max_force, max_energy, or both")
        return self


Angle = Annotated[float, Field(gt=0, lt=180)]


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
        description="Allowed volume per atom relative to the median of the seeds of the same "
        "composition (to that of its own seed, if that is outside); of slabs and chains the area "
        "or length, relative to their own seed",
    )
    angle_window: tuple[Angle, Angle] = Field(
        (40, 140), description="Allowed cell angles, degrees"
    )
    max_aspect: float = Field(
        5.0,
        ge=1,
        description="Largest ratio of the longest cell edge to the smallest height",
    )
    gate: Gate | None = Field(None, description="Optional limit of force or energy")

    @model_validator(mode="after")
    def _windows(self) -> Constraints:
        for name in ("volume_window", "angle_window"):
            low, high = getattr(self, name)
            if low >= high:
                raise ValueError(f"{name}: {low:g} is not below {high:g}")
        return self


class TargetBox(Section):
    """A box of the targets of your own."""

    sS: tuple[Annotated[float, Field(le=0)], Annotated[float, Field(le=0)]] = Field(
        description="Lower and upper limit of sS, kB per atom"
    )
    Q6: tuple[Fraction, Fraction] = Field(description="Lower and upper limit of Q6")

    @model_validator(mode="after")
    def _ordered(self) -> TargetBox:
        for name in ("sS", "Q6"):
            low, high = getattr(self, name)
            if low >= high:
                raise ValueError(f"{name}: {low:g} is not below {high:g}")
        return self


class Generate(Section):
    """Target-directed mutation (PolymorphGen)."""

    preset: Literal["published"] | None = Field(
        None, description="published: counts and amplitudes of the authors' program"
    )
    strategy: Literal["edges", "fill", "rattle", "random"] = Field(
        "edges",
        description="edges: towards targets on the four edges of the landscape box; fill: into "
        "the empty and under-filled cells of a grid; rattle and random: undirected mutants of "
        "the seeds, and random walks from them, for comparison",
    )
    targets_per_edge: Count = Field(10, description="edges: targets on each edge of the box")
    generations: Count = Field(30, description="edges: generations per target")
    population: Count = Field(50, description="edges: individuals per generation and target")
    fresh_fraction: Fraction = Field(
        0.3, description="edges: share of each generation that are fresh mutants of the seeds"
    )
    evaluations: Count = Field(
        20000, description="fill, rattle, random: mutants tried in all, accepted or not"
    )
    islands: Count = Field(
        1, description="fill, rattle, random: independent searches that share the evaluations"
    )
    grid: int = Field(40, ge=2, le=500, description="fill: cells along each axis of the box")
    per_cell: Count = Field(
        2, description="fill: individuals below which a cell counts as under-filled"
    )
    stop_at_coverage: Fraction = Field(
        1.0, description="fill: share of occupied cells at which the search ends"
    )
    patience: Count = Field(
        10000, description="fill: mutants without a newly filled cell after which it ends"
    )
    box_margin: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Expansion of the box of the seeds, as a fraction of its size",
    )
    box: TargetBox | None = Field(
        None, description="Box of the targets, instead of the expanded box of the seeds"
    )
    rigid_units: bool = Field(
        False, description="Molecules move as rigid bodies (bonds from covalent radii)"
    )
    displacements: Displacements = Field(
        Displacements(), description="Kinds of the displacement gene, by weight"
    )
    amplitudes: Amplitudes = Field(Amplitudes(), description="Sizes of the mutations")
    constraints: Constraints = Field(Constraints(), description="What a mutant must obey")
    n_shards: Count = Field(
        4, description="Jobs that the targets or islands are dealt to; no more than there are"
    )

    @model_validator(mode="after")
    def _whole_molecules(self) -> Generate:
        if self.rigid_units and self.displacements.swap + self.displacements.hop > 0:
            raise ValueError("rigid_units: swap and hop would take molecules apart; set both to 0")
        return self

    @model_validator(mode="before")
    @classmethod
    def _published(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("preset") == "published":
            given = values.get("amplitudes", {})
            if isinstance(given, dict):
                values = {**values, "amplitudes": {**PUBLISHED["amplitudes"], **given}}
            return {**PUBLISHED, **values}
        return values

    @property
    def n_tasks(self) -> int:
        """Independent searches: targets on edges, else islands."""
        return 4 * self.targets_per_edge if self.strategy == "edges" else self.islands

    @property
    def n_jobs(self) -> int:
        """Jobs that have something to do."""
        return min(self.n_shards, self.n_tasks)
