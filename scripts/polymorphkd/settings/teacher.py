"""Settings of the teacher and of its labels."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from .base import Count, FiniteSection, Fraction, Positive, Section
from .teacher_deepmd import Dpa, MaceDeepmd, Nequip


class Mace(FiniteSection):
    """MACE network and training."""

    NETWORK: ClassVar = ("r_max", "channels", "max_L", "max_ell", "correlation", "interactions")
    """What a foundation decides in place of the settings."""

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
    restarts: int = Field(
        1,
        ge=0,
        le=9,
        description="Warm restarts of a model that left training frames unlearned: the schedule "
        "again from its own weights, with a fresh optimiser (not with max_L above 0 and more than "
        "two layers)",
    )
    dtype: Literal["float32", "float64"] = Field("float32", description="Precision of training")
    device: Literal["cpu", "cuda", "auto"] = Field("auto", description="Where to train and run")


class Teacher(Section):
    """Message-passing teacher."""

    kind: Literal["mace", "dpa", "mace-deepmd", "nequip"] = Field(
        "mace",
        description="Teacher family; all but mace train in an environment of their own "
        "(`make env-teachers`)",
    )
    n_models: int = Field(
        1, ge=1, le=16, description="Committee size; each model has its own seed"
    )
    environment: str = Field(
        ".venv-teachers",
        description="Folder of the environment of dpa, mace-deepmd and nequip, absolute or from "
        "where Snakemake runs",
    )
    mace: Mace = Field(Mace(), description="Settings of the teacher mace")
    dpa: Dpa = Field(Dpa(), description="Settings of the teacher dpa")
    mace_deepmd: MaceDeepmd = Field(
        MaceDeepmd(), description="Settings of the teacher mace-deepmd"
    )
    nequip: Nequip = Field(Nequip(), description="Settings of the teacher nequip")

    @property
    def section(self) -> str:
        """Name of the section of the chosen family."""
        return self.kind.replace("-", "_")


class Walk(FiniteSection):
    """Short molecular dynamics under the teacher, from each supplementary frame."""

    steps: int = Field(0, ge=0, description="Steps of each walk; 0 for none")
    every: Count = Field(5, description="Steps between two frames that are kept")
    timestep: float = Field(2.0, gt=0, le=10, description="Time step, fs")
    temperatures: tuple[Positive, Positive] = Field(
        (300, 1500),
        description="Each walk has a temperature between these, K; the upper one should be "
        "twice the highest that the potential is for",
    )
    friction: float = Field(20.0, ge=0, description="Friction of the Langevin thermostat, 1/ps")

    @model_validator(mode="after")
    def _consistent(self) -> Walk:
        if 0 < self.steps < self.every:
            raise ValueError(f"every: {self.every} is beyond the {self.steps} steps of a walk")
        if self.temperatures[0] > self.temperatures[1]:
            raise ValueError("temperatures: the lower one comes first")
        return self


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
    proposals: int = Field(
        0,
        ge=0,
        description="Most frames beyond max_spread that are written to relabel/proposals.extxyz, "
        "spread over the landscape, for the next round of DFT labels; 0 for none",
    )
    walk: Walk = Field(Walk(), description="Molecular dynamics before the labels")
