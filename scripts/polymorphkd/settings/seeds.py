"""Files of the user, and where parents come from without them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from .base import Count, ImportPath, Positive, Section


class Inputs(Section):
    """Files of your own: the stage that would have made each one is then skipped."""

    seeds: list[str] = Field(
        [],
        description="Structure files in any format ASE reads (POSCAR, XDATCAR, vasprun.xml, "
        "extxyz, LAMMPS dump); they replace prototypes and MD as seeds",
    )
    library: str | None = Field(
        None,
        description="Frames used in place of the generated library (Parquet or ASE format)",
    )
    standard: str | None = Field(
        None,
        description="Frames to label by DFT, in place of the selected standard set",
    )
    supplementary: str | None = Field(
        None,
        description="Frames for the teacher to label, in place of the selected ones",
    )
    labelled: str | None = Field(
        None,
        description="Labelled set with REF_energy (eV), REF_forces (eV/Å) and REF_stress "
        "(eV/Å^3) keys; no DFT is run then",
    )
    teacher: list[str] = Field(
        [], description="MACE model files of your own; no teacher is trained then"
    )


class SeedMD(Section):
    """Short MD that strains, heats and melts the prototypes."""

    calculator: ImportPath = Field(
        "ase.calculators.emt.EMT",
        description="Import path of the cheap ASE calculator that drives the MD",
    )
    arguments: dict[str, Any] = Field({}, description="Keyword arguments of that calculator")
    temperatures: list[Positive] = Field(
        [600, 2500],
        description="Temperatures of the MD runs, K; one run each per prototype",
    )
    timestep: float = Field(3.0, gt=0, le=10, description="Time step, fs")
    steps: Count = Field(400, description="Steps of each run")
    snapshots: Count = Field(2, description="Frames kept from the second half of each run")


class Seeds(Section):
    """Where the parents come from when `inputs.seeds` is empty."""

    prototypes: list[Literal["fcc", "bcc", "hcp", "dhcp", "sc", "diamond", "omega", "a15"]] = (
        Field(
            ["fcc", "bcc", "hcp", "dhcp", "sc", "diamond", "omega", "a15"],
            min_length=1,
            description="Crystal prototypes, filled with the first element",
        )
    )
    volume_per_atom: float = Field(
        16.5,
        gt=1,
        lt=200,
        description="Volume of the prototypes at zero strain, Å^3 per atom",
    )
    n_atoms: tuple[Count, Count] = Field(
        (4, 8),
        description="Fewest and most atoms of a seed cell; prototypes are repeated to fit",
    )
    volume_strains: list[Annotated[float, Field(gt=-0.5, lt=1)]] = Field(
        [-0.15, -0.08, -0.03, 0.0, 0.03, 0.08, 0.15],
        description="Relative volume changes applied to each prototype",
    )
    shear: float = Field(
        0.06,
        ge=0,
        le=0.3,
        description="Standard deviation of one random symmetric strain per "
        "prototype (dimensionless)",
    )
    md: SeedMD | None = Field(SeedMD(), description="MD settings, or null for no MD")
