"""Settings of the students."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .base import Count, Section


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
