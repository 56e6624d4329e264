"""Pseudo-labels from dense N x N arrays, vectorised as far as numpy allows: the reference for `labelling.py`.

The published form of the algorithm keeps the cosines, the encoding and the Jaccard distance as N x N arrays and
passes the last to scikit-learn's DBSCAN. Here the loops over pairs are gone, and arrays are float32 and freed as
soon as possible; three of them still exist at once. Border images are then placed by the rule of
`itkm_core.clustering.dbscan`, so that the labels can be compared one by one.
"""

from __future__ import annotations

import numpy as np
from sklearn.cluster import DBSCAN

TOLERANCE = 1e-6


def dense_pseudo_label(
    rows: np.ndarray, k1: int, k2: int, eps: float, min_samples: int
) -> np.ndarray:
    """Labels int64 [N] of unit rows float32 [N, D] without exact ties."""
    cosines = rows @ rows.T
    lists = nearest(cosines, k1)
    encoding = encode(cosines, lists)
    del cosines
    if k2 > 1:
        encoding = expanded(encoding, lists[:, :k2])
    distances = jaccard(encoding)
    del encoding
    return cluster(distances, eps, min_samples)


def nearest(cosines: np.ndarray, k1: int) -> np.ndarray:
    lists = np.empty((len(cosines), k1), np.int64)
    for start in range(0, len(cosines), 1024):
        block = -cosines[start : start + 1024]
        # The image itself comes first, whatever its rounded cosine.
        block[np.arange(len(block)), start + np.arange(len(block))] = -2
        best = np.argpartition(block, k1, axis=1)[:, :k1]
        order = np.argsort(np.take_along_axis(block, best, 1), axis=1)
        lists[start : start + 1024] = np.take_along_axis(best, order, 1)
    return lists


def reciprocal(lists: np.ndarray) -> list[np.ndarray]:
    """R(i, .) of each image from the list entries that count."""
    number = np.arange(len(lists))[:, None]
    back = (lists[lists] == number[:, :, None]).any(axis=2)
    return [entries[mask] for entries, mask in zip(lists, back, strict=True)]


def encode(cosines: np.ndarray, lists: np.ndarray) -> np.ndarray:
    k1 = lists.shape[1]
    wide, narrow = reciprocal(lists), reciprocal(lists[:, : round(k1 / 2) + 1])
    encoding = np.zeros(cosines.shape, np.float32)
    member = np.zeros(len(cosines), bool)
    for i, unexpanded in enumerate(wide):
        member[unexpanded] = True
        candidates = [narrow[j] for j in unexpanded]
        columns = np.concatenate(candidates)
        sizes = np.array([len(c) for c in candidates])
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        shared = np.add.reduceat(member[columns].astype(np.int64), starts)
        member[unexpanded] = False
        added = columns[np.repeat(3 * shared > 2 * sizes, sizes)]
        columns = np.unique(np.concatenate([unexpanded, added]))
        weights = np.exp(2 * cosines[i, columns].astype(np.float64) - 2)
        encoding[i, columns] = weights / weights.sum()
    return encoding


def expanded(encoding: np.ndarray, lists: np.ndarray) -> np.ndarray:
    result = np.empty_like(encoding)
    for i, entries in enumerate(lists):
        np.mean(encoding[entries], axis=0, out=result[i])
    return result


def jaccard(encoding: np.ndarray) -> np.ndarray:
    distances = np.empty_like(encoding)
    inverted = [np.flatnonzero(encoding[:, k]) for k in range(len(encoding))]
    weights = [encoding[rows, k] for k, rows in enumerate(inverted)]
    for i, row in enumerate(encoding):
        columns = np.flatnonzero(row)
        others = np.concatenate([inverted[k] for k in columns])
        theirs = np.concatenate([weights[k] for k in columns])
        own = np.repeat(row[columns], [len(inverted[k]) for k in columns])
        overlap = np.bincount(others, np.minimum(own, theirs), len(encoding))
        distances[i] = np.maximum(1 - overlap / (2 - overlap), 0)
    return distances


def cluster(distances: np.ndarray, eps: float, min_samples: int) -> np.ndarray:
    found = DBSCAN(eps=eps + TOLERANCE, min_samples=min_samples, metric="precomputed").fit(
        distances
    )
    labels = np.asarray(found.labels_, np.int64)
    core = np.zeros(len(labels), bool)
    core[found.core_sample_indices_] = True
    for i in np.flatnonzero(~core & (labels >= 0)):
        near = np.flatnonzero((distances[i] <= eps + TOLERANCE) & core)
        labels[i] = labels[near[np.argmin(distances[i, near])]]
    members = labels >= 0
    _, first, number = np.unique(labels[members], return_index=True, return_inverse=True)
    labels[members] = np.argsort(np.argsort(first))[number]
    return labels
