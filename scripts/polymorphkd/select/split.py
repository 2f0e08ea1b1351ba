"""Train, validation and test sets that cover the landscape and share no near-duplicate."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..errors import StageError
from ..landscape.grid import bounding_box, cells, coordinates
from ..provenance import rng
from ..settings import Split
from .duplicates import features, near_pairs, scale_of

SETS = ("train", "valid", "test")


def groups(points: pd.DataFrame, lineage: pd.DataFrame, distance: float) -> np.ndarray:
    """Frames that must stay together, as a group number per frame.

    Frames are linked when they are near-duplicates, when one is the parent of the other,
    or when they share a parent that is not a seed (siblings of a seed differ as much as
    any two mutants; siblings late in an evolution do not).

    Parameters
    ----------
    points : DataFrame
        Landscape points.
    lineage : DataFrame
        Same rows; columns parent and root are used where present.
    distance : float
        Near-duplicate distance; see :class:`polymorphkd.settings.Split`.

    Returns
    -------
    ndarray, shape (n_frames,), int
    """
    n = len(points)
    values = features(points)
    links = [near_pairs(values, scale_of(values), distance)]
    if "parent" in lineage:
        links.append(_family_links(points["frame_id"], lineage))
    pairs = np.concatenate(links).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def _family_links(frame_ids: pd.Series, lineage: pd.DataFrame) -> np.ndarray:
    where = {name: i for i, name in enumerate(frame_ids)}
    parents = lineage["parent"].fillna("").to_numpy()
    roots = lineage["root"].to_numpy() if "root" in lineage else np.full(len(parents), "")
    links = [(i, where[p]) for i, p in enumerate(parents) if p in where]
    first_child: dict[str, int] = {}
    for i, parent in enumerate(parents):
        if parent and parent != roots[i]:
            links.append((i, first_child.setdefault(parent, i)))
    return np.array(links, dtype=np.int64).reshape(-1, 2)


def kin(frames: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Which frames are of the family of one of `others`, as :func:`groups` links families.

    Parameters
    ----------
    frames, others : DataFrame
        frame_id and, where known, parent and root.

    Returns
    -------
    ndarray of bool, one per frame
        The frames themselves, parents, children and siblings, but not siblings of a seed.
    """

    def known(table: pd.DataFrame, name: str) -> pd.Series:
        return table[name].fillna("") if name in table else pd.Series("", index=table.index)

    parents, elder = known(frames, "parent"), set(known(others, "parent")) - {""}
    ids = set(others["frame_id"])
    found = frames["frame_id"].isin(ids | elder) | parents.isin(ids)
    found |= parents.isin(elder) & (parents != known(frames, "root"))
    return np.asarray(found, dtype=bool)


def _serpentine(index: np.ndarray) -> np.ndarray:
    """Rank of cells along a path that visits neighbouring cells one after the other."""
    column, row = index[:, 0], index[:, 1]
    return column * (row.max() + 1) + np.where(column % 2 == 0, row, row.max() - row)


def split_frames(
    points: pd.DataFrame, lineage: pd.DataFrame, settings: Split, seed: int, material: str
) -> np.ndarray:
    """Name of the set of every frame.

    Groups are walked along a path through the landscape cells, and every set takes its
    share as the walk goes (systematic sampling), so each covers the landscape evenly.

    Parameters
    ----------
    points : DataFrame
        Landscape points of the labelled frames, sorted by frame id.
    lineage : DataFrame
        Same rows; parent and root where known.
    settings : Split
    seed, material
        Name the random stream that orders the groups within a cell.

    Returns
    -------
    ndarray of str, shape (n_frames,)
        ``train``, ``valid`` or ``test``.

    Raises
    ------
    StageError
        A set would be empty.
    """
    group = groups(points, lineage, settings.duplicate_distance)
    xy = coordinates(points)
    box = bounding_box(xy)
    n_groups = int(group.max()) + 1
    sizes = np.bincount(group, minlength=n_groups)
    centre = np.stack([np.bincount(group, weights=xy[:, k]) / sizes for k in (0, 1)], axis=1)
    path = _serpentine(cells(centre, box, settings.cells))
    random = rng(seed, material, "split", 0).random(n_groups)
    wanted = np.array(
        [
            1 - settings.test_fraction - settings.valid_fraction,
            settings.valid_fraction,
            settings.test_fraction,
        ]
    )
    credit = np.zeros(3)
    chosen = np.zeros(n_groups, dtype=np.int64)
    for g in np.lexsort((random, path)):
        credit += wanted * sizes[g]
        # A set may take a group only when it has earned it; training takes any.
        earned = np.where(credit >= sizes[g] - 1e-9, credit / np.maximum(wanted, 1e-9), -np.inf)
        chosen[g] = int(np.argmax(earned)) if np.isfinite(earned).any() else 0
        credit[chosen[g]] -= sizes[g]
    names = np.array(SETS)[chosen[group]]
    counts = {name: int((names == name).sum()) for name in SETS}
    empty = [name for name, count in counts.items() if not count]
    if empty:
        raise StageError(
            f"split: no frame for the {' and '.join(empty)} set from {len(points)} labelled "
            f"frames in {n_groups} groups; label more frames or change the fractions"
        )
    return names
