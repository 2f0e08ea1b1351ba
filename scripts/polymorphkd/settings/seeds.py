"""Files of the user, and where parents come from without them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from .base import Count, ImportPath, Positive, Section


class Inputs(Section):
    """Files of your own: the stage that would have made each one is then skipped."""

    seeds: list[str] = Field(
        [],
        description="Structure files in any format ASE reads (POSCAR, XDATCAR, vasprun.xml, "
        "extxyz, LAMMPS dump), or ML_AB of VASP; they replace prototypes and MD as seeds",
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
        description="Labelled set with REF_energy (eV), REF_forces (eV/Å) and, where a "
        "frame has one, REF_stress (eV/Å^3); no DFT is run then",
    )
    teacher: list[str] = Field(
        [],
        description="Model files of your own, one or a committee, of the family teacher.kind; "
        "no teacher is trained then",
    )
    foundation: str | None = Field(
        None,
        min_length=1,
        description="MACE model file, such as a foundation model, that the training of the "
        "teacher starts from (teacher.kind: mace); it decides the network: cutoff, channels, "
        "orders, layers",
    )

    @model_validator(mode="after")
    def _one_teacher(self) -> Inputs:
        if self.teacher and self.foundation:
            raise ValueError(
                "foundation: nothing would be trained from it, because teacher names finished "
                "models; allowed is one of the two"
            )
        return self


PrototypeName = Literal["fcc", "bcc", "hcp", "dhcp", "sc", "diamond", "omega", "a15"]

LINES_PER_FRAME = 10
"""Lines in the table of an MD run for each frame kept."""


class MDStage(Section):
    """A stretch of molecular dynamics with linear ramps."""

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.+-]*$", description="Name in tables and figures")
    temperature: tuple[Positive, Positive] = Field(description="At the start and at the end, K")
    pressure: tuple[float, float] | None = Field(
        None, description="At the start and at the end, GPa; null for constant volume"
    )
    picoseconds: float = Field(gt=0, description="Duration, ps")


class MeltQuench(Section):
    """Long MD that heats a crystal until it melts, and cools the liquid."""

    program: Literal["ase", "lammps"] = Field(
        "ase", description="ase runs the calculator of seeds.md, lammps what `commands` say"
    )
    commands: list[str] = Field(
        [],
        description="Lines of LAMMPS that define the potential, such as `pair_style eam/alloy` "
        "and `pair_coeff * * Al99.eam.alloy Al`; types are numbered as in `elements`",
    )
    starts: list[str] = Field(
        ["fcc"],
        min_length=1,
        description="Crystals to melt, one run each: names of prototypes, or files of your own "
        "(their last structure, as it is)",
    )
    n_atoms: Count = Field(108, description="Wished size of the cell of a prototype")
    stages: list[MDStage] = Field(
        [
            MDStage(name="melt", temperature=(300, 3000), pressure=(10, 10), picoseconds=200),
            MDStage(name="quench", temperature=(3000, 300), pressure=(10, 10), picoseconds=200),
        ],
        min_length=1,
        description="What is done one after the other",
    )
    frames: Count = Field(
        100, description="Frames kept of each run, evenly over all stages; they become seeds"
    )
    thermostat_time: float = Field(0.1, gt=0, description="Relaxation time of the thermostat, ps")
    barostat_time: float = Field(1.0, gt=0, description="Relaxation time of the barostat, ps")

    @model_validator(mode="after")
    def _names_differ(self) -> MeltQuench:
        for what, names in (
            ("starts", self.starts),
            ("stages", [stage.name for stage in self.stages]),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"{what}: a name is given twice")
        if self.program == "lammps":
            missing = {"pair_style", "pair_coeff"} - {
                c.split()[0] for c in self.commands if c.strip()
            }
            if missing:
                raise ValueError(f"commands: no line {min(missing)} for LAMMPS")
        return self


class SeedMD(Section):
    """MD that strains, heats and melts the prototypes: short runs, or a melt-quench."""

    calculator: ImportPath = Field(
        "ase.calculators.emt.EMT",
        description="Import path of the ASE calculator that drives the MD",
    )
    arguments: dict[str, Any] = Field({}, description="Keyword arguments of that calculator")
    temperatures: list[Positive] = Field(
        [600, 2500],
        description="Temperatures of the short runs, K; one run each per prototype",
    )
    timestep: float = Field(3.0, gt=0, le=10, description="Time step, fs")
    steps: Count = Field(400, description="Steps of each short run")
    snapshots: Count = Field(2, description="Frames kept from the second half of each short run")
    melt_quench: MeltQuench | None = Field(
        None, description="A melt-quench in place of the short runs, or null"
    )

    @model_validator(mode="after")
    def _long_enough(self) -> SeedMD:
        plan = self.melt_quench
        if plan is None:
            return self
        steps = sum(round(1000 * stage.picoseconds / self.timestep) for stage in plan.stages)
        if steps < LINES_PER_FRAME * plan.frames:
            raise ValueError(
                f"melt_quench: {steps} steps of {self.timestep:g} fs for {plan.frames} frames; at "
                f"least {LINES_PER_FRAME} steps per frame are needed"
            )
        return self


class Seeds(Section):
    """Where the parents come from when `inputs.seeds` is empty."""

    prototypes: list[PrototypeName] = Field(
        ["fcc", "bcc", "hcp", "dhcp", "sc", "diamond", "omega", "a15"],
        min_length=1,
        description="Crystal prototypes, filled with the first element",
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
