"""Settings of the teachers that DeePMD-kit's PyTorch backend trains."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .base import Count, Section


class DeepmdTorch(Section):
    """What the families dpa, mace-deepmd and nequip share: cutoff and schedule."""

    r_max: float = Field(5.0, gt=1, le=12, description="Cutoff radius, Å")
    steps: Count = Field(20000, description="Training steps")
    batch_atoms: Count = Field(
        32, description="A step sees as many frames as have at least this many atoms together"
    )
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Initial learning rate")
    final_learning_rate: float = Field(1e-5, gt=0, le=1, description="Final learning rate")
    energy_prefactor: tuple[float, float] = Field((0.2, 20), description="Loss, start and end")
    force_prefactor: tuple[float, float] = Field((100, 60), description="Loss, start and end")
    virial_prefactor: tuple[float, float] = Field((0.02, 1), description="Loss, start and end")
    precision: Literal["float32", "float64"] = Field(
        "float32", description="Precision of the network weights"
    )
    device: Literal["cpu", "cuda", "auto"] = Field("auto", description="Where to train and run")

    @model_validator(mode="after")
    def _rate_decays(self) -> DeepmdTorch:
        if self.final_learning_rate > self.learning_rate:
            raise ValueError("final_learning_rate must not be above learning_rate")
        return self


class Dpa(DeepmdTorch):
    """DPA-3 (line graph series of nodes, edges and angles) and its training."""

    angle_r_max: float = Field(4.0, gt=1, le=12, description="Cutoff radius of the angles, Å")
    layers: Count = Field(3, description="Message-passing (repflow) layers")
    features: int = Field(
        64, ge=4, multiple_of=4, description="Features of a node; an edge has half, an angle a "
        "quarter of them"
    )  # fmt: skip
    fitting: list[Count] = Field([120, 120, 120], min_length=1, description="Fitting layers")

    @model_validator(mode="after")
    def _angles_inside(self) -> Dpa:
        if self.angle_r_max > self.r_max:
            raise ValueError("angle_r_max must not be above r_max")
        return self


class MaceDeepmd(DeepmdTorch):
    """MACE network trained inside DeePMD-kit (deepmd-gnn)."""

    channels: Count = Field(32, description="Channels of the hidden irreps")
    max_L: int = Field(0, ge=0, le=3, description="Highest order of the messages")
    max_ell: int = Field(3, ge=1, le=4, description="Highest order of the spherical harmonics")
    correlation: int = Field(3, ge=1, le=4, description="Body order minus one of each layer")
    interactions: int = Field(2, ge=1, le=4, description="Message-passing layers")


class Nequip(DeepmdTorch):
    """NequIP network trained inside DeePMD-kit (deepmd-gnn)."""

    features: Count = Field(16, description="Features of each order and parity")
    l_max: int = Field(2, ge=0, le=3, description="Highest order of features and edges")
    layers: Count = Field(3, description="Message-passing layers")
    parity: bool = Field(True, description="Features of both parities")
    precision: Literal["float32"] = Field(
        "float32", description="Precision of the network weights; deepmd-gnn offers no other"
    )
