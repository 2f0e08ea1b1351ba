"""Settings of the property checks and of deployment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Count, Section


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
    timing_atoms: Count = Field(
        4000, description="Fewest atoms of the run that measures the cost of a step"
    )
    max_drift: float = Field(
        1.0, gt=0, description="Largest drift of the total energy, meV per atom per ps"
    )
