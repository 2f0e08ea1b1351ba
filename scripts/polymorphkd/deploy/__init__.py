"""What leaves the workshop: the LAMMPS example, its check, and the model card."""

from .card import CardSources, describe_labels, describe_teacher, write_card
from .lammps import Example, check, write_example

__all__ = [
    "CardSources",
    "Example",
    "check",
    "describe_labels",
    "describe_teacher",
    "write_card",
    "write_example",
]
