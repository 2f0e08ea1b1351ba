"""Settings of the linear student."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator

from .base import Count, FiniteSection

Basis = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
"""Number of radial functions and highest angular degree of an order of bodies."""


class Pod(FiniteSection):
    """Proper orthogonal descriptors of LAMMPS (ML-POD): linear, fitted by least squares."""

    rcut: float = Field(4.5, gt=1, le=12, description="Cutoff radius, Å")
    inner_cutoff: float = Field(
        1.0,
        gt=0,
        description="Where radial functions end, Å: training frames with nearer atoms are refused",
    )
    bessel_degree: Count = Field(4, description="Bessel functions that radial ones are made of")
    inverse_degree: Count = Field(8, description="Inverse powers that radial ones are made of")
    two_body: Count = Field(6, description="Radial functions of pairs")
    three_body: Basis = Field(
        (5, 4),
        description="Radial functions and angular degree (at most 12) of triplets; no more radial "
        "ones than pairs have. 0 radial functions: none",
    )
    four_body: Basis = Field(
        (4, 3),
        description="Of quadruplets; no more than triplets have, degree at most 6",
    )
    five_body: Basis = Field((0, 0), description="Of quintuplets; no more than quadruplets have")
    energy_weight: float = Field(
        7.0, ge=0, description="Weight of the energy per atom in the fit, 1/(eV/atom)"
    )
    force_weight: float = Field(1.0, ge=0, description="Weight of the forces, 1/(eV/Å)")
    virial_weight: float = Field(
        0.5, ge=0, description="Weight of the virial per atom, 1/(eV/atom)"
    )
    regularization: float = Field(
        1e-10,
        gt=0,
        le=1,
        description="Ridge, relative to descriptors that are scaled to unit norm",
    )

    @property
    def many_body(self) -> dict[str, Basis]:
        """Basis by LAMMPS's name of the order of bodies."""
        return {
            "threebody": self.three_body,
            "fourbody": self.four_body,
            "fivebody": self.five_body,
        }

    @model_validator(mode="after")
    def _consistent(self) -> Pod:
        if self.inner_cutoff >= self.rcut:
            raise ValueError("inner_cutoff must be smaller than rcut")
        radial = 3 * self.bessel_degree + self.inverse_degree
        if self.two_body > radial:
            raise ValueError(
                f"two_body must be at most {radial}, 3 * bessel_degree + inverse_degree: so many "
                "radial functions there are to choose from"
            )
        if self.three_body[1] > 12 or self.four_body[1] > 6:
            raise ValueError("the angular degree of three_body is at most 12, of four_body 6")
        orders = {
            "two_body": (self.two_body, 12), "three_body": self.three_body,
            "four_body": self.four_body, "five_body": self.five_body,
        }  # fmt: skip
        for (lower, of_lower), (higher, of_higher) in pairwise(orders.items()):
            if of_higher[0] > of_lower[0] or of_higher[1] > of_lower[1]:
                raise ValueError(f"{higher} must not have more functions than {lower}")
        return self
