"""Settings of sS and Q6."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ase.data import atomic_numbers
from pydantic import Field, field_validator, model_validator

from .base import Positive, Section, check_elements


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
