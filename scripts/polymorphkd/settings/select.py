"""Settings of selection and of the split."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from .base import Count, Positive, Section

Method = Literal["grid", "random", "farthest-point", "direct"]


class Round(Section):
    """Size of one selection round, by count or by resolution, and perhaps its own method."""

    count: Count | None = Field(
        None,
        description="Wanted number of frames; a grid that does not exceed it is used",
    )
    resolution: tuple[Positive, Positive] | None = Field(
        None, description="Grid steps in sS (kB per atom) and Q6; the grid is anchored at 0"
    )
    method: Method | None = Field(
        None, description="How this round chooses, where not by `select.method`"
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Round:
        if (self.count is None) == (self.resolution is None):
            raise ValueError("give exactly one of count and resolution")
        return self


def _as_list(value: Any) -> Any:
    """A single round may be given without the brackets of a list."""
    return [value] if isinstance(value, dict | Round) else value


Rounds = Annotated[
    list[Round],
    Field(min_length=1),
    BeforeValidator(_as_list, json_schema_input_type=Round | list[Round]),
]


def check_coarse_to_fine(rounds: Sequence[Round]) -> None:
    """Raise ValueError where the cells of a resolution are larger than those before it.

    What counts is the area of a cell, so that one step may grow while the other shrinks
    more; rounds by count may stand anywhere.
    """
    steps = [one.resolution for one in rounds if one.resolution is not None]
    for before, after in pairwise(steps):
        if prod(after) > prod(before) * (1 + 1e-9):
            raise ValueError(
                f"resolution {after[0]:g} x {after[1]:g} comes after {before[0]:g} x "
                f"{before[1]:g} but has larger cells; rounds go from coarse to fine"
            )


class Choice(Section):
    """How the frames of a round are chosen."""

    method: Method = Field(
        "grid",
        description="grid: one frame per occupied cell; the others take as many frames in each "
        "round as the grid would: random keeps the density of the library, farthest-point and "
        "direct are baselines to compare with",
    )
    representative: Literal["centre", "lowest", "random"] = Field(
        "centre",
        description="Frame that stands for a cell (direct: a cluster): the nearest to its "
        "centre, that of the lowest `lowest_of`, or one drawn at random",
    )
    lowest_of: str = Field(
        "energy_per_atom",
        min_length=1,
        description="What `representative: lowest` compares: energy_per_atom (eV, of a library "
        "with energies), or a column of numbers of the library or its landscape points",
    )

    @model_validator(mode="after")
    def _representative_has_a_meaning(self) -> Choice:
        if self.method in ("random", "farthest-point") and self.representative != "centre":
            raise ValueError(
                f"representative: {self.representative} has no meaning with method: "
                f"{self.method}, which knows no cells; allowed with grid and direct"
            )
        return self


class Select(Choice):
    """Multi-resolution grid selection on the landscape, coarse to fine."""

    standard: Rounds = Field(
        [Round(count=120)],
        description="Rounds whose frames DFT labels: one, or a list from coarse to fine",
    )
    supplementary: Rounds = Field(
        [Round(count=800)],
        description="Rounds after those, whose frames the teacher labels",
    )

    @property
    def rounds(self) -> list[tuple[str, Round]]:
        """Every round in order with the set that its frames join."""
        return [("standard", one) for one in self.standard] + [
            ("supplementary", one) for one in self.supplementary
        ]

    @model_validator(mode="after")
    def _coarse_to_fine(self) -> Select:
        check_coarse_to_fine([one for _, one in self.rounds])
        return self


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
    pulay_virial: float = Field(
        0.0,
        ge=-5,
        le=5,
        description="Constant by which pressure times volume of the labels differs from that of "
        "their energies, eV per atom (VASP at a low ENCUT: negative); taken off all stresses here",
    )

    @model_validator(mode="after")
    def _training_set(self) -> Split:
        if self.test_fraction + self.valid_fraction >= 1:
            raise ValueError("test_fraction and valid_fraction must leave frames for training")
        return self
