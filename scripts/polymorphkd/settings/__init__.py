"""Every setting: one typed section per stage, with unit, range, default and meaning.

The models of this room are the single source of every key: ``workflow/schemas/config.schema.json``
(for editors) and the table in ``config/README.md`` are written from them by
``polymorphkd schema``, and a test compares.  Unknown keys are refused.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from .base import Section, check_elements
from .converge import Converge
from .generate import Amplitudes, Constraints, Displacements, Gate, Generate
from .label import AseEngine, Gates, Gpaw, Label, Vasp
from .landscape import Landscape
from .pools import Pool, deal_pools
from .programs import Abinit, Cp2k, Cp2kKind, Espresso, Program
from .seeds import Inputs, MDStage, MeltQuench, SeedMD, Seeds
from .select import Choice, Round, Select, Split, check_coarse_to_fine
from .student import Deepmd, Student
from .student_pod import Pod
from .teacher import Mace, Relabel, Teacher, Walk
from .teacher_deepmd import DeepmdTorch, Dpa, MaceDeepmd, Nequip
from .use import Deploy, Properties
from .vasp_sets import with_set_potentials

__all__ = [
    "Abinit",
    "Amplitudes",
    "AseEngine",
    "Choice",
    "Constraints",
    "Converge",
    "Cp2k",
    "Cp2kKind",
    "Deepmd",
    "DeepmdTorch",
    "Deploy",
    "Displacements",
    "Dpa",
    "Espresso",
    "Gate",
    "Gates",
    "Generate",
    "Gpaw",
    "Inputs",
    "Label",
    "Landscape",
    "MDStage",
    "Mace",
    "MaceDeepmd",
    "MeltQuench",
    "Nequip",
    "Pod",
    "Pool",
    "Program",
    "Properties",
    "Relabel",
    "Round",
    "Section",
    "SeedMD",
    "Seeds",
    "Select",
    "Settings",
    "Split",
    "Student",
    "Teacher",
    "Vasp",
    "Walk",
    "check_coarse_to_fine",
    "deal_pools",
]


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
    select: Select = Field(Select(), description="Selection in rounds, coarse to fine")
    label: Label = Field(Label(), description="DFT labels")
    split: Split = Field(Split(), description="Train, validation and test sets")
    teacher: Teacher = Field(Teacher(), description="Message-passing teacher")
    relabel: Relabel = Field(Relabel(), description="Teacher labels")
    student: Student = Field(Student(), description="Distilled students")
    properties: Properties = Field(Properties(), description="Equation of state")
    deploy: Deploy = Field(Deploy(), description="LAMMPS check")

    @model_validator(mode="before")
    @classmethod
    def _potentials_of_the_set(cls, value: Any) -> Any:
        return with_set_potentials(value) if isinstance(value, dict) else value

    @field_validator("elements")
    @classmethod
    def _known_elements(cls, value: list[str]) -> list[str]:
        check_elements(value)
        return value
