"""Settings of the scans that show which k-spacing and cutoff the labels need."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationError, field_validator

from .base import Section
from .faults import faults

Scanned = Annotated[float, Field(gt=0)]


class Converge(Section):
    """Labels of three frames at other k-spacings and cutoffs, before all frames are labelled."""

    kspacings: list[Scanned] = Field(
        min_length=2,
        description="k-point spacings to compare, 1/Å (2 pi included), at the finest cutoff",
    )
    cutoffs: list[Scanned] = Field(
        min_length=2,
        description="Plane-wave cutoffs to compare, eV, at the finest k-spacing",
    )
    tolerance_energy: float = Field(
        1.0,
        gt=0,
        description="Energy error allowed in any frame, less the mean of the three, meV/atom",
    )
    tolerance_force: float = Field(
        10.0, gt=0, description="Root mean square error of forces allowed in any frame, meV/Å"
    )

    @field_validator("kspacings", "cutoffs")
    @classmethod
    def _named_once(cls, value: list[float]) -> list[float]:
        if len(set(value)) < len(value):
            raise ValueError("a value is named twice")
        return value


def at_setting(section: Section, kspacing: float, cutoff: float) -> Section:
    """Section of an engine with another k-spacing (1/Å) and main cutoff (eV), checked anew."""
    changes = {"kspacing": kspacing, getattr(section, "cutoff_key", ""): cutoff}
    return type(section).model_validate({**section.model_dump(), **changes})


def check_converge(converge: Converge, engine: str, section: Section) -> None:
    """Raise ValueError where the engine has nothing to scan, or the lists do not fit it."""
    key = getattr(section, "cutoff_key", None)
    if key is None or not hasattr(section, "kspacing"):
        raise ValueError(
            f"converge: the engine {engine} has no k-spacing and cutoff to scan; set converge to "
            "null"
        )
    finest, used = min(converge.kspacings), section.kspacing
    if finest > used:
        raise _too_coarse("kspacings", finest, f"label.{engine}.kspacing", used)
    finest, used = max(converge.cutoffs), getattr(section, key)
    if finest < used:
        raise _too_coarse("cutoffs", finest, f"label.{engine}.{key}", used)
    for kspacing in converge.kspacings:
        _check(section, engine, kspacing, max(converge.cutoffs))
    for cutoff in converge.cutoffs:
        _check(section, engine, min(converge.kspacings), cutoff)


def _too_coarse(scanned: str, finest: float, key: str, used: float) -> ValueError:
    return ValueError(
        f"converge.{scanned}: the finest, {finest:g}, is coarser than {key}, {used:g}, which it "
        "shall judge; add finer ones"
    )


def _check(section: Section, engine: str, kspacing: float, cutoff: float) -> None:
    try:
        at_setting(section, kspacing, cutoff)
    except ValidationError as error:
        first = faults(error, type(section))[0]
        raise ValueError(f"converge: label.{engine}.{first}") from None
