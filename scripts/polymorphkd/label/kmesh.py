"""Whether k-point meshes of different cells can come from one setting.

One spacing gives every cell a mesh of its own, and because a mesh has whole numbers of points,
actual spacings differ by up to a factor of two in small cells.  So spacings are not compared;
the question is whether there is one spacing k from which all meshes follow.  Programs round
|b| / k up, down or to the nearest, so n points along a reciprocal vector of length |b| fit
every k between |b| / (n + 1) and |b| / (n - 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .external import External
from .vasp.output import RunSettings

SLACK = 1e-6
"""Relative slack of the comparison, for cells that are printed with few decimals."""


def largest_spacing(cell: np.ndarray, mesh: Sequence[int]) -> float:
    """Largest distance of neighbouring points along the reciprocal vectors, 1/Å (with 2 pi).

    Parameters
    ----------
    cell : ndarray, shape (3, 3), Å
    mesh : sequence of three int
    """
    return float((_lengths(cell) / np.asarray(mesh)).max())


def possible_spacings(cell: np.ndarray, mesh: Sequence[int]) -> tuple[float, float]:
    """Smallest and largest k (1/Å) that can have given `mesh`.

    Where the directions exclude each other (a mesh chosen by hand), the range between them.
    """
    n, b = np.asarray(mesh), _lengths(cell)
    low = float((b / (n + 1)).max())
    high = float(np.where(n > 1, b / np.maximum(n - 1, 1), np.inf).min())
    return min(low, high), max(low, high)


def _lengths(cell: np.ndarray) -> np.ndarray:
    return 2 * np.pi * np.linalg.norm(np.linalg.inv(cell), axis=0)


@dataclass
class MeshGroup:
    """Frames whose meshes can come from one spacing.

    Parameters
    ----------
    members : list of int
        Positions in the list of frames.
    spacings : tuple of float
        Smallest and largest of their actual largest spacings, 1/Å.
    file : str
        Where one of them is.
    """

    members: list[int]
    spacings: tuple[float, float]
    file: str

    @property
    def text(self) -> str:
        """The range of spacings."""
        low, high = (f"{one:.3f}" for one in self.spacings)
        return f"{low} 1/Å" if low == high else f"{low} to {high} 1/Å"


def mesh_groups(frames: Sequence[External]) -> list[MeshGroup]:
    """The fewest groups of frames that can share one spacing, the largest first.

    Parameters
    ----------
    frames : sequence of External
        Those without a frame or a known mesh are left out.  The mesh of a run is made for its
        first cell, so that later steps of a file go by the first one here.
    """
    known: dict[str, tuple[float, float, float]] = {}
    members: dict[str, list[int]] = {}
    for i, one in enumerate(frames):
        mesh = one.settings.mesh if isinstance(one.settings, RunSettings) else None
        if one.frame is None or mesh is None:
            continue
        if one.file not in known:
            cell = one.frame.cells[0]
            known[one.file] = (*possible_spacings(cell, mesh), largest_spacing(cell, mesh))
        members.setdefault(one.file, []).append(i)
    groups: list[list[str]] = []
    end = -1.0
    # In the order of their upper ends, a range that begins beyond that of the group opens one.
    for file, (low, high, _) in sorted(known.items(), key=lambda item: item[1][1]):
        if low > end * (1 + SLACK):
            groups.append([])
            end = high
        groups[-1].append(file)
    made = [
        MeshGroup(
            [i for file in files for i in members[file]],
            (min(known[file][2] for file in files), max(known[file][2] for file in files)),
            files[0],
        )
        for files in groups
    ]
    return sorted(made, key=lambda group: -len(group.members))


def refusal(groups: Sequence[MeshGroup]) -> str:
    """Message for meshes that no single spacing gives."""
    rows = "\n".join(f"  {len(g.members):6d}  spacing {g.text}  ({g.file})" for g in groups)
    return (
        "import-labels: k-meshes of different density meet; no one spacing gives them all:\n"
        f"{rows}\nimport each group on its own, or leave --same-mesh out"
    )


def notes(groups: Sequence[MeshGroup]) -> dict[int, str]:
    """Note of every frame outside the largest group, by its position."""
    if len(groups) < 2:
        return {}
    most = groups[0].text
    return {
        i: f"k-mesh of another density: spacing {group.text}, most frames have {most}"
        for group in groups[1:]
        for i in group.members
    }
