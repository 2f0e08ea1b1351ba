"""Ways of choosing frames to compare the grid with: farthest points and DIRECT.

Random choice, the third, is one line where it is used.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

MOST_CLUSTERS = 10_000
"""Frames of a round of DIRECT at most: the distances between clusters fill up to 1 GB."""

SLACK = 0.5
"""BIRCH may find so many more clusters than wanted; the nearest of them are then merged."""

TRIES = 12
"""Thresholds of BIRCH tried at most, until it finds enough clusters within `SLACK`."""

SAMPLE = 20_000
"""Points on which the first threshold is found, before all of them are clustered."""


def farthest_points(scaled: np.ndarray, count: int, taken: np.ndarray) -> np.ndarray:
    """Farthest-point sampling: each point is the farthest from all chosen before it.

    Parameters
    ----------
    scaled : ndarray, shape (n, 2), float64
        Coordinates in units of the box, so that Q6 counts as much as sS.
    count : int
        At most n.
    taken : ndarray, shape (n_taken, 2)
        Points of earlier rounds, from which the first ones keep away; without any, the first
        point is the nearest to the middle of the box.

    Returns
    -------
    ndarray, shape (count,), int
        Indices into `scaled` in the order of their choice; of equal points the first.
    """
    if len(taken):
        squared = cKDTree(taken).query(scaled)[0] ** 2
        first = int(squared.argmax())
    else:
        squared = np.full(len(scaled), np.inf)
        first = int(((scaled - 0.5) ** 2).sum(axis=1).argmin())
    x, y = np.ascontiguousarray(scaled.T)
    return _farthest(x, y, squared, first, count)


@njit(cache=True)
def _farthest(
    x: np.ndarray, y: np.ndarray, squared: np.ndarray, first: int, count: int
) -> np.ndarray:
    """`squared` holds the squared distance to the chosen points, -1 for those points."""
    chosen = np.empty(count, dtype=np.int64)
    new = first
    for k in range(count):
        chosen[k] = new
        squared[new] = -1.0
        x0, y0 = x[new], y[new]
        for i in range(len(x)):  # apart from the search, so that it runs in vectors
            dx, dy = x[i] - x0, y[i] - y0
            squared[i] = min(squared[i], dx * dx + dy * dy)
        new = int(squared.argmax())
    return chosen


def direct_clusters(features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of DIRECT (Qi et al. 2024, doi:10.1038/s41524-024-01227-4) on given features.

    Features are standardised, turned into principal components, each weighted by the share
    of the variance that it explains, and clustered by BIRCH.  Its threshold is lowered until
    it finds at least `count` clusters; the surplus is merged by Ward's criterion, as in the
    authors' library `maml`.  They drop components of eigenvalue below one, a rule for the
    hundreds of features of a neural network; with three features it would leave one axis, so
    all are kept.

    Parameters
    ----------
    features : ndarray, shape (n, n_features), float64
        In an order that does not depend on the file, for BIRCH depends on it.
    count : int
        At most n, and at most `MOST_CLUSTERS`.

    Returns
    -------
    ndarray, shape (n,), int
        Cluster of every point; fewer than `count` clusters where points are equal.
    ndarray, shape (n,), float64
        Distance to the centre of the cluster.
    """
    components = weighted_components(features)
    centres = _birch(components, count)
    subcluster = cKDTree(centres).query(components)[1]
    label = _merged(centres, count)[subcluster]
    _, label = np.unique(label, return_inverse=True)
    sizes = np.bincount(label)
    means = np.stack([np.bincount(label, column) / sizes for column in components.T], axis=1)
    return label, np.linalg.norm(components - means[label], axis=1)


def weighted_components(features: np.ndarray) -> np.ndarray:
    """Principal components of standardised features times their shares of the variance."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    varying = features[:, np.ptp(features, axis=0) > 0]
    if not varying.shape[1]:
        return np.zeros((len(features), 1))
    pca = PCA(svd_solver="covariance_eigh")
    return pca.fit_transform(StandardScaler().fit_transform(varying)) * (
        pca.explained_variance_ratio_
    )


def _birch(components: np.ndarray, count: int) -> np.ndarray:
    """Centres of at least `count` BIRCH subclusters, or of all there are."""
    threshold = 0.5
    if len(components) > 2 * SAMPLE and count < SAMPLE // 4:
        sample = components[:: len(components) // SAMPLE]
        threshold = _search(sample, count, threshold)[0]
    return _search(components, count, threshold)[1]


def _search(components: np.ndarray, count: int, threshold: float) -> tuple[float, np.ndarray]:
    """Threshold of BIRCH that gives `count` subclusters or little more, and their centres."""
    from sklearn.cluster import Birch

    high, low = np.inf, 0.0  # too few and enough subclusters
    best: tuple[float, np.ndarray] | None = None
    for _ in range(TRIES):
        model = Birch(threshold=threshold, n_clusters=None, compute_labels=False)
        centres = model.fit(components).subcluster_centers_
        if len(centres) < count:
            high = threshold
        else:
            low = threshold
            if best is None or len(centres) < len(best[1]):
                best = threshold, centres
            if len(centres) <= (1 + SLACK) * count:
                break
        # Points that fill a plane give subclusters as the threshold to the power -2.
        guess = threshold * np.sqrt(len(centres) / ((1 + SLACK / 2) * count))
        inside = low < guess < high
        threshold = guess if inside else np.sqrt(low * high) if low else high / 4
    return best or (threshold, centres)


def _merged(centres: np.ndarray, count: int) -> np.ndarray:
    """Cluster number of each subcluster, at most `count` clusters."""
    from sklearn.cluster import AgglomerativeClustering

    if len(centres) <= count:
        return np.arange(len(centres))
    return AgglomerativeClustering(n_clusters=count).fit_predict(centres)
