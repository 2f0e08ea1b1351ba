"""What a page is made of: sections of figures, tables and sentences, each with its origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """The rule that made the numbers and the file, below the material's folder, with them.

    A rule and its script share their name, so the rule leads to ``scripts/<rule>.py``.
    """

    rule: str
    file: str


@dataclass(frozen=True)
class Image:
    """One panel: address of its data, and what it shows for who cannot see it."""

    uri: str
    alt: str


@dataclass(frozen=True)
class FigureBlock:
    """Panels that share one caption."""

    images: list[Image]
    caption: str
    origins: list[Origin]
    wide: bool = False


@dataclass(frozen=True)
class TableBlock:
    """Rows of text; `text_columns` are left aligned, the others right.

    A table with a `title` is folded under it.
    """

    columns: list[str]
    rows: list[list[str]]
    caption: str
    origins: list[Origin]
    text_columns: tuple[int, ...] = (0,)
    title: str = ""

    @property
    def small(self) -> bool:
        """Whether two such tables fit side by side."""
        return len(self.columns) <= 3 and not self.title


@dataclass(frozen=True)
class TextBlock:
    """A sentence, or preformatted text that opens on a click where it has a `title`."""

    text: str
    title: str = ""


Block = FigureBlock | TableBlock | TextBlock


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    anchor: str
    title: str
    blocks: Sequence[Block]
