"""Settings of selection and of the split."""

from __future__ import annotations

from pydantic import Field, model_validator

from .base import Count, Positive, Section


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
