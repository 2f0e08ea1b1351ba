"""Settings of the DFT labels."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from .base import Count, Fraction, ImportPath, Section
from .pools import Pool, PoolName, check_pools


class Gpaw(Section):
    """Plane-wave DFT with GPAW."""

    xc: str = Field("PBE", pattern=r"^(LDA|PBE|revPBE|RPBE|PW91)$", description="Functional")
    ecut: float = Field(400.0, ge=100, le=2000, description="Plane-wave cutoff, eV")
    kspacing: float = Field(
        0.25, gt=0.02, le=2, description="Largest k-point spacing, 1/Å (2 pi included)"
    )
    smearing: Literal["fermi-dirac", "methfessel-paxton", "marzari-vanderbilt"] = Field(
        "fermi-dirac", description="Occupation function"
    )
    width: float = Field(0.1, ge=0.001, le=2, description="Smearing width, eV")
    energy_tolerance: float = Field(
        1e-4, gt=0, le=1e-2, description="SCF energy convergence, eV per valence electron"
    )
    density_tolerance: float = Field(
        1e-4, gt=0, le=1e-2, description="SCF density convergence, electrons per valence electron"
    )
    eigenstates_tolerance: float = Field(
        1e-7, gt=0, le=1e-3, description="SCF eigenstate convergence, eV^2 per valence electron"
    )
    davidson_steps: int = Field(
        2, ge=1, le=5, description="Davidson iterations per SCF step; 1 is cheapest for metals"
    )
    max_scf_steps: Count = Field(80, description="SCF steps before a frame counts as unconverged")


class AseEngine(Section):
    """Any ASE calculator as labelling engine."""

    calculator: ImportPath = Field(
        "ase.calculators.emt.EMT", description="Import path of the ASE calculator class"
    )
    arguments: dict[str, Any] = Field({}, description="Keyword arguments of the calculator")


class Gates(Section):
    """A label outside a gate is rejected and recorded with the gate's name."""

    max_force: float = Field(15.0, gt=0, description="Largest force on an atom, eV/Å")
    max_pressure: float = Field(80.0, gt=0, description="Largest absolute pressure, GPa")
    min_distance: float = Field(0.5, ge=0, le=3, description="Shortest interatomic distance, Å")
    energy_window: float | None = Field(
        20.0,
        gt=0,
        description="Largest distance of the energy from the median of the frames with the same "
        "composition, eV/atom; null for none",
    )
    max_entropy: float | None = Field(
        0.02,
        gt=0,
        description="Largest electronic entropy (T*S of the smearing) where it is known, eV/atom; "
        "null for none",
    )


class Label(Section):
    """DFT labels of the standard set."""

    engine: Literal["gpaw", "ase"] = Field("gpaw", description="Engine that computes the labels")
    gpaw: Gpaw = Field(Gpaw(), description="Settings of the engine gpaw")
    ase: AseEngine = Field(AseEngine(), description="Settings of the engine ase")
    gates: Gates = Field(Gates(), description="Acceptance gates")
    n_shards: Count = Field(8, description="Jobs that the frames are dealt to")
    pools: dict[PoolName, Pool] = Field(
        {"cpu": Pool()}, min_length=1, description="Pools that the jobs are dealt to, by name"
    )
    max_failed_fraction: Fraction = Field(
        0.1, description="Share of failed frames above which the gather stops"
    )

    @model_validator(mode="after")
    def _a_shard_for_every_pool(self) -> Label:
        check_pools(self.pools, self.n_shards)
        return self
