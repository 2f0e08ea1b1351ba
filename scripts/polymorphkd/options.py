"""Options that several commands share, and the settings they stand for."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import InputError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from .settings import Choice, Landscape, Round

Model = TypeVar("Model", bound="BaseModel")

LANDSCAPE = ("definition", "cutoff", "sigma", "rmax", "q6", "nearest", "species", "density")
"""Options that are settings of the landscape."""


def validated(model: type[Model], values: dict[str, Any], option: str = "--{}") -> Model:
    """`model` of `values`; the first thing that is wrong names its option."""
    from pydantic import ValidationError

    from .settings.faults import faults

    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = faults(error, model)[0]
        name = ".".join(str(part) for part in first.key)
        where = f"{option.format(name)}: " if name else ""
        raise InputError(f"{where}{first.message}") from None


def landscape_settings(
    arguments: argparse.Namespace, defaults: Mapping[str, Any] | None = None
) -> Landscape:
    """Settings of the landscape from the options that were given, over `defaults`."""
    from .settings import Landscape

    given = {name: getattr(arguments, name) for name in LANDSCAPE}
    if given["nearest"] is not None and given["cutoff"] is not None:
        raise InputError("--nearest and --cutoff: give one of them, Q6 has one set of neighbours")
    values = {**(defaults or {}), **{k: v for k, v in given.items() if v is not None}}
    if values.get("species") in (["all"], ["pairs"]):
        values["species"] = values["species"][0]
    return validated(Landscape, values)


def selection_settings(arguments: argparse.Namespace) -> tuple[list[Round], Choice]:
    """Rounds in the order in which they were given, and how frames are chosen."""
    from .settings import Choice, Round, check_coarse_to_fine

    if not arguments.rounds:
        raise InputError("give --resolution DSS DQ6 or --count N, once per round")
    rounds = [validated(Round, one) for one in arguments.rounds]
    try:
        check_coarse_to_fine(rounds)
    except ValueError as error:
        raise InputError(f"--resolution: {error}") from None
    names = ("method", "representative", "lowest_of")
    values = {name: getattr(arguments, name) for name in names}
    return rounds, validated(Choice, {k: v for k, v in values.items() if v is not None})


def _cutoff(text: str) -> float | str:
    if text == "auto":
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 30:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a length in Å up to 30, or auto")
    return value


def at_least(smallest: int) -> Callable[[str], int]:
    """Type of an option that is an integer and not below `smallest`."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = smallest - 1
        if value < smallest:
            raise argparse.ArgumentTypeError(f"{text!r}: expected an integer from {smallest} on")
        return value

    return convert


def add_landscape_options(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """The options named in `LANDSCAPE`."""
    parser.add_argument(
        "--cutoff", type=_cutoff, metavar="X|auto",
        help="neighbour cutoff of Q6, Å; auto: first minimum of g(r) (default)",
    )  # fmt: skip
    parser.add_argument("--sigma", type=float, help="width of the Gaussians in g(r), Å (0.1)")
    parser.add_argument("--rmax", type=float, help="upper limit of the sS integral, Å (8)")
    parser.add_argument("--definition", choices=["equations", "published-code"])
    parser.add_argument("--q6", choices=["global", "mean"], help="norm of the mean, or mean")
    parser.add_argument("--nearest", type=int, metavar="K", help="K neighbours, not a cutoff")
    parser.add_argument(
        "--species", nargs="+", metavar="all|pairs|ELEMENT",
        help="blind to species (all), pair-resolved sum, or some elements",
    )  # fmt: skip
    parser.add_argument("--density", type=float, help="atoms per Å^3 of frames with open sides")


class _AddRound(argparse.Action):
    """Collects --resolution and --count in the order in which they are given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        name = self.option_strings[0].lstrip("-")
        namespace.rounds = [*(namespace.rounds or []), {name: values}]


def add_selection_options(parser: argparse.ArgumentParser) -> None:
    """The options that :func:`selection_settings` reads."""
    parser.add_argument(
        "--resolution", nargs=2, type=float, action=_AddRound, dest="rounds",
        metavar=("DSS", "DQ6"),
        help="a round with one frame per occupied cell of these steps (kB per atom, and Q6)",
    )  # fmt: skip
    parser.add_argument(
        "--count", type=int, action=_AddRound, dest="rounds", metavar="N",
        help="a round on the grid that gives up to N frames; both options may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--representative", choices=["centre", "lowest", "random"],
        help="frame of a cell: nearest to its centre (default), lowest, or random",
    )  # fmt: skip
    parser.add_argument(
        "--lowest-of", metavar="COLUMN", help="what lowest compares (energy_per_atom)"
    )
    parser.add_argument(
        "--method", choices=["grid", "random", "farthest-point", "direct"],
        help="grid (default), or a baseline that takes as many frames",
    )  # fmt: skip
