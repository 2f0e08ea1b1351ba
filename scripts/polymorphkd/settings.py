"""Every setting: one typed section per stage, with unit, range, default and meaning.

The models below are the single source of every key: ``workflow/schemas/config.schema.json``
(for editors) and the table in ``config/README.md`` are written from them by
``polymorphkd schema``, and a test compares.  Unknown keys are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ase.data import atomic_numbers
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
ImportPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*\.[A-Za-z_]\w*$")]


def check_elements(symbols: list[str]) -> None:
    """Raise ValueError unless all are chemical symbols, each named once."""
    for symbol in symbols:
        if symbol not in atomic_numbers or symbol == "X":
            raise ValueError(f"{symbol!r} is not a chemical symbol")
    if len(set(symbols)) != len(symbols):
        raise ValueError("an element is named twice")


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


class Landscape(Section):
    """Settings of sS and Q6; part of the identity of every point."""

    definition: Literal["equations", "published-code"] = Field(
        "equations",
        description="equations: Eqs. 1-7 of the paper; published-code: the conventions of its "
        "authors' program, to continue results made with it (docs/landscape.md)",
    )
    sigma: float = Field(
        0.1,
        ge=0.005,
        le=1,
        description="Width of the Gaussians in g(r), Å; published-code: 0.0125 unless given",
    )
    rmax: float = Field(8.0, gt=1, le=30, description="Upper limit of the sS integral, Å")
    cutoff: Annotated[float, Field(gt=0, le=30)] | Literal["auto"] = Field(
        "auto",
        description="Neighbour cutoff of Q6, Å; auto takes the first minimum of the "
        "pooled g(r) of the seeds",
    )
    q6: Literal["global", "mean"] = Field(
        "global",
        description="global: norm of the averaged q6m (Eqs. 1-5); mean: mean over "
        "atoms of the local q6, the only one of published-code",
    )
    nearest: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="Q6 of this many nearest neighbours of each atom instead of a cutoff"
    )
    species: Literal["all", "pairs"] | Annotated[list[str], Field(min_length=1)] = Field(
        "all",
        description="all: blind to species; pairs: sS as the sum of x_a x_b S_ab over pairs of "
        "species; a list of elements: sS and Q6 of these atoms alone",
    )
    density: Positive | None = Field(
        None,
        description="Number density for frames not periodic in all directions, 1/Å^3; "
        "without it they have no sS",
    )

    @model_validator(mode="before")
    @classmethod
    def _published_defaults(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("definition") == "published-code":
            return {"sigma": 0.0125, "q6": "mean"} | values
        return values

    @field_validator("species")
    @classmethod
    def _known_species(cls, value: str | list[str]) -> str | list[str]:
        if isinstance(value, str):
            return value
        check_elements(value)
        return sorted(value, key=atomic_numbers.__getitem__)

    @model_validator(mode="after")
    def _what_the_published_code_can(self) -> Landscape:
        if self.definition == "published-code":
            if self.q6 != "mean":
                raise ValueError("published-code has one Q6 only, q6: mean")
            for key in ("nearest", "density"):
                if getattr(self, key) is not None:
                    raise ValueError(f"published-code has no {key}")
            if self.species != "all":
                raise ValueError("published-code is blind to species, species: all")
        return self


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


class Round(Section):
    """Size of one selection round, by count or by resolution."""

    count: Count | None = Field(
        None,
        description="Wanted number of frames; the finest grid that does not exceed it is used",
    )
    resolution: tuple[Positive, Positive] | None = Field(
        None, description="Grid steps in sS (kB per atom) and Q6"
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Round:
        if (self.count is None) == (self.resolution is None):
            raise ValueError("give exactly one of count and resolution")
        return self


class Select(Section):
    """Multi-resolution grid selection on the landscape."""

    standard: Round = Field(Round(count=120), description="Round whose frames DFT labels")
    supplementary: Round = Field(Round(count=800), description="Round that the teacher labels")


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


class Label(Section):
    """DFT labels of the standard set."""

    engine: Literal["gpaw", "ase"] = Field("gpaw", description="Engine that computes the labels")
    gpaw: Gpaw = Field(Gpaw(), description="Settings of the engine gpaw")
    ase: AseEngine = Field(AseEngine(), description="Settings of the engine ase")
    gates: Gates = Field(Gates(), description="Acceptance gates")
    n_shards: Count = Field(8, description="Jobs that the frames are dealt to")
    max_failed_fraction: Fraction = Field(
        0.1, description="Share of failed frames above which the gather stops"
    )


class Split(Section):
    """Train, validation and test sets."""

    test_fraction: float = Field(0.2, gt=0, lt=1, description="Share of the test set")
    valid_fraction: float = Field(0.1, gt=0, lt=1, description="Share of the validation set")
    cells: Count = Field(
        5, description="Cells per landscape axis that the test set is spread over"
    )
    duplicate_distance: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Frames nearer than this are near-duplicates and stay "
        "together (distance in sS, Q6 and volume per atom, each divided by its range)",
    )


class Mace(Section):
    """MACE network and training."""

    r_max: float = Field(5.0, gt=1, le=12, description="Cutoff radius, Å")
    channels: Count = Field(32, description="Channels of the hidden irreps")
    max_L: int = Field(0, ge=0, le=3, description="Highest order of the messages")
    max_ell: int = Field(3, ge=1, le=4, description="Highest order of the spherical harmonics")
    correlation: int = Field(3, ge=1, le=4, description="Body order minus one of each layer")
    interactions: int = Field(2, ge=1, le=4, description="Message-passing layers")
    epochs: Count = Field(240, description="Training epochs")
    stage_two_start: Fraction = Field(
        0.7,
        description="Share of the epochs after which energies weigh more (stage two)",
    )
    batch_size: Count = Field(4, description="Frames per step")
    learning_rate: float = Field(0.01, gt=0, le=1, description="Initial learning rate")
    final_learning_rate: float = Field(
        0.001,
        gt=0,
        le=1,
        description="Learning rate that stage one decays to and stage two keeps",
    )
    ema_decay: float = Field(
        0.99,
        ge=0,
        lt=1,
        description="Decay per step of the running average of the weights, which is the model",
    )
    weights: tuple[Positive, Positive, Positive] = Field(
        (40, 100, 1000),
        description="Loss weights of energy, forces and stress, stage one",
    )
    stage_two_weights: tuple[Positive, Positive, Positive] = Field(
        (1000, 100, 10000),
        description="Loss weights of energy, forces and stress, stage two",
    )
    dtype: Literal["float32", "float64"] = Field("float32", description="Precision of training")
    device: Literal["cpu", "cuda", "auto"] = Field("auto", description="Where to train and run")


class Teacher(Section):
    """Message-passing teacher."""

    kind: Literal["mace"] = Field("mace", description="Teacher family")
    n_models: int = Field(
        1, ge=1, le=16, description="Committee size; each model has its own seed"
    )
    mace: Mace = Field(Mace(), description="Settings of the teacher mace")


class Relabel(Section):
    """Teacher labels of the supplementary set."""

    n_shards: Count = Field(2, description="Jobs that the frames are dealt to")
    max_force: float = Field(
        15.0, gt=0, description="Frames with a larger predicted force are dropped, eV/Å"
    )
    max_spread: float = Field(
        1.0,
        gt=0,
        description="Frames with a larger committee spread of a force component are "
        "dropped, eV/Å (needs teacher.n_models > 1)",
    )


class Deepmd(Section):
    """DeePMD se_e2_a network and training (TensorFlow backend)."""

    rcut: float = Field(6.0, gt=1, le=12, description="Cutoff radius, Å")
    rcut_smooth: float = Field(2.0, gt=0, description="Where the switching function starts, Å")
    embedding: list[Count] = Field([16, 32, 64], min_length=1, description="Embedding layers")
    axis_neuron: Count = Field(8, description="Columns of the embedding sub-matrix")
    fitting: list[Count] = Field([64, 64, 64], min_length=1, description="Fitting layers")
    activation: Literal["tanh", "gelu", "softplus"] = Field(
        "tanh", description="Activation function of both networks"
    )
    precision: Literal["float32", "float64"] = Field(
        "float32", description="Precision of the network weights; coordinates are float64"
    )
    batch_atoms: Count = Field(
        24, description="A step sees as many frames as have at least this many atoms together"
    )
    steps: Count = Field(60000, description="Training steps of each student")
    learning_rate: float = Field(5e-3, gt=0, le=1, description="Initial learning rate")
    final_learning_rate: float = Field(1e-5, gt=0, description="Final learning rate")
    energy_prefactor: tuple[float, float] = Field((1, 10), description="Loss, start and end")
    force_prefactor: tuple[float, float] = Field((100, 10), description="Loss, start and end")
    virial_prefactor: tuple[float, float] = Field((0.1, 0.5), description="Loss, start and end")

    @model_validator(mode="after")
    def _smooth_inside(self) -> Deepmd:
        if self.rcut_smooth >= self.rcut:
            raise ValueError("rcut_smooth must be smaller than rcut")
        return self


class Student(Section):
    """Distilled students; dnn and dnn-kd share every setting here but the data."""

    kind: Literal["deepmd"] = Field("deepmd", description="Student family")
    deepmd: Deepmd = Field(Deepmd(), description="Settings of the student deepmd")
    dft_probability: float = Field(
        0.3,
        gt=0,
        lt=1,
        description="Share of the training steps of dnn-kd that see DFT frames",
    )


class Properties(Section):
    """Equation of state of one crystal by every model and by the labelling engine."""

    structure: Literal["fcc", "bcc", "hcp", "diamond"] = Field(
        "fcc", description="Crystal of the equation of state"
    )
    volume_range: float = Field(
        0.06, gt=0.005, le=0.3, description="Largest relative volume change of the scan"
    )
    points: int = Field(7, ge=5, le=51, description="Volumes of the scan")


class Deploy(Section):
    """LAMMPS check of the compressed student."""

    repeat: Count = Field(4, description="Conventional cells along each axis of the NVE run")
    temperature: float = Field(300.0, gt=0, description="Temperature of the NVE run, K")
    timestep: float = Field(2.0, gt=0, le=10, description="Time step, fs")
    steps: Count = Field(2000, description="Steps of the NVE run")
    max_drift: float = Field(
        1.0, gt=0, description="Largest drift of the total energy, meV per atom per ps"
    )


class Settings(Section):
    """Everything that decides the result for one material."""

    material: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", description="Name of the material"
    )
    elements: list[str] = Field(min_length=1, description="Chemical elements, in model order")
    seed: int = Field(1, ge=0, description="Seed of every random stream")
    inputs: Inputs = Field(Inputs(), description="Files of your own")
    seeds: Seeds = Field(Seeds(), description="Prototypes and MD")
    landscape: Landscape = Field(Landscape(), description="sS and Q6")
    generate: Generate = Field(Generate(), description="Directed mutation")
    select: Select = Field(Select(), description="Grid selection")
    label: Label = Field(Label(), description="DFT labels")
    split: Split = Field(Split(), description="Train, validation and test sets")
    teacher: Teacher = Field(Teacher(), description="Message-passing teacher")
    relabel: Relabel = Field(Relabel(), description="Teacher labels")
    student: Student = Field(Student(), description="Distilled students")
    properties: Properties = Field(Properties(), description="Equation of state")
    deploy: Deploy = Field(Deploy(), description="LAMMPS check")

    @field_validator("elements")
    @classmethod
    def _known_elements(cls, value: list[str]) -> list[str]:
        check_elements(value)
        return value
