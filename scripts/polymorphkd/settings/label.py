"""Settings of the DFT labels."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from .base import Count, Fraction, ImportPath, Section, check_elements
from .converge import Converge, check_converge
from .pools import Pool, PoolName, check_pools
from .programs import MOMENTS, Abinit, Cp2k, Espresso
from .vasp_sets import NamedSet, set_defaults


class Gpaw(Section):
    """Plane-wave DFT with GPAW."""

    cutoff_key: ClassVar[str] = "ecut"

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
    moments: dict[str, float] = Field({}, description=MOMENTS)
    davidson_steps: int = Field(
        2, ge=1, le=5, description="Davidson iterations per SCF step; 1 is cheapest for metals"
    )
    max_scf_steps: Count = Field(80, description="SCF steps before a frame counts as unconverged")

    @field_validator("moments")
    @classmethod
    def _names_elements(cls, value: dict[str, float]) -> dict[str, float]:
        check_elements(list(value))
        return value


class AseEngine(Section):
    """Any ASE calculator as labelling engine."""

    calculator: ImportPath = Field(
        "ase.calculators.emt.EMT", description="Import path of the ASE calculator class"
    )
    arguments: dict[str, Any] = Field({}, description="Keyword arguments of the calculator")


class Vasp(Section):
    """PAW DFT with VASP: one static run per frame, under custodian."""

    cutoff_key: ClassVar[str] = "encut"

    command: str = Field(
        "vasp_std",
        min_length=1,
        description="How the program is started, such as `mpirun -np 16 vasp_std`",
    )
    version: Literal["5", "6"] = Field(
        "6", description="Main version of the program; a run of another one is refused"
    )
    input_set: NamedSet | None = Field(
        None,
        description="Input set of pymatgen that gives further INCAR tags (ALGO, ISPIN, MAGMOM, "
        "LDAU*, ...), the defaults of functional, encut, kspacing, smearing, width and "
        "max_scf_steps, and the potentials; null for none",
    )
    functional: Literal["PBE", "PBEsol", "revPBE", "RPBE", "r2SCAN", "SCAN"] = Field(
        "PBE", description="Functional (tag GGA or METAGGA); others through incar"
    )
    potential_set: str = Field(
        "PBE_54", description="Set of potentials, by its name in pymatgen, below PMG_VASP_PSP_DIR"
    )
    potentials: dict[str, str] = Field(
        {}, description="POTCAR of every element, such as {Al: Al, Ti: Ti_pv}"
    )
    encut: float = Field(600.0, ge=150, le=2000, description="Plane-wave cutoff, eV")
    kspacing: float = Field(
        0.2513, gt=0.02, le=2, description="Largest k-point spacing, 1/Å (2 pi included)"
    )
    ediff: float = Field(1e-6, gt=0, le=1e-3, description="SCF energy convergence, eV per cell")
    smearing: Literal["gaussian", "fermi-dirac", "methfessel-paxton"] = Field(
        "gaussian", description="Occupation function"
    )
    width: float = Field(0.05, ge=0.001, le=1, description="Smearing width, eV")
    max_scf_steps: Count = Field(100, description="SCF steps before a frame counts as unconverged")
    incar: dict[str, bool | int | float | str | list[bool | int | float | str]] = Field(
        {},
        description="Further INCAR tags, such as {ISPIN: 2, NCORE: 4}; they win over other keys",
    )
    moments: dict[str, float] = Field({}, description=MOMENTS + ", or with that of input_set")
    max_corrections: int = Field(
        4, ge=1, le=20, description="Starts of a frame, if its errors can be mended by the solver"
    )
    frame_time: float = Field(
        21600.0, gt=0, description="Wall time of a frame, all its starts together, s"
    )
    frozen_time: float = Field(
        3600.0, gt=0, description="Time without a word from the program before it is ended, s"
    )
    scratch: str = Field(
        "vasp_runs",
        min_length=1,
        description="Folder that holds a folder for each frame while it runs",
    )
    keep: Literal["none", "failed", "all"] = Field(
        "failed", description="Runs whose files stay; those of finished frames as .tar.gz"
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_set(cls, value: Any) -> Any:
        return {**set_defaults(value), **value} if isinstance(value, dict) else value

    @field_validator("moments")
    @classmethod
    def _names_elements(cls, value: dict[str, float]) -> dict[str, float]:
        check_elements(list(value))
        return value

    @field_validator("incar")
    @classmethod
    def _only_static_and_neutral(cls, value: dict[str, Any]) -> dict[str, Any]:
        fixed = {
            *("NSW", "IBRION", "ISIF", "KSPACING", "KGAMMA", "NELECT", "LWAVE", "LCHARG"),
            *("PSTRESS", "ICHARG", "ISTART"),
        }
        value = {name.upper(): one for name, one in value.items()}
        if wrong := sorted(n for n in value if n in fixed or n.startswith("ML_")):
            raise ValueError(
                f"{wrong[0]} cannot be set: labels are static, neutral and on the mesh of kspacing"
            )
        if "MAGMOM" in value:
            raise ValueError("MAGMOM has one number per atom, and frames differ; set moments")
        return value


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

    engine: Literal["gpaw", "ase", "vasp", "espresso", "cp2k", "abinit"] = Field(
        "gpaw", description="Engine that computes the labels"
    )
    gpaw: Gpaw = Field(Gpaw(), description="Settings of the engine gpaw")
    ase: AseEngine = Field(AseEngine(), description="Settings of the engine ase")
    vasp: Vasp = Field(Vasp(), description="Settings of the engine vasp")
    espresso: Espresso = Field(Espresso(), description="Settings of the engine espresso")
    cp2k: Cp2k = Field(Cp2k(), description="Settings of the engine cp2k")
    abinit: Abinit = Field(Abinit(), description="Settings of the engine abinit")
    gates: Gates = Field(Gates(), description="Acceptance gates")
    converge: Converge | None = Field(
        None, description="Scans of k-spacing and cutoff on three frames; null for none"
    )
    n_shards: Count = Field(8, description="Jobs that the frames are dealt to")
    pools: dict[PoolName, Pool] = Field(
        {"cpu": Pool()}, min_length=1, description="Pools that the jobs are dealt to, by name"
    )
    max_tries: Count = Field(
        3,
        description="Runs of snakemake that try frames again which their machine failed (time, "
        "memory, a lost process); the first run counts",
    )
    max_failed_fraction: Fraction = Field(
        0.1, description="Share of failed frames above which the gather stops"
    )

    @model_validator(mode="after")
    def _a_shard_for_every_pool(self) -> Label:
        check_pools(self.pools, self.n_shards)
        return self

    @model_validator(mode="after")
    def _something_to_scan(self) -> Label:
        if self.converge is not None:
            check_converge(self.converge, self.engine, getattr(self, self.engine))
        return self
