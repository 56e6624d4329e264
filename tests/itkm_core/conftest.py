"""The slow, obvious twin: docs/definition.md, "Pseudo-labels", word for word on dense N x N arrays."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from made import people, unit

TOLERANCE = 1e-6


def cosines(rows):
    """Float64; the sum of a pair is taken alike for every pair, so equal rows tie exactly."""
    rows = rows.astype(np.float64)
    return np.stack([(rows * row).sum(axis=1) for row in rows]) if len(rows) else np.zeros((0, 0))


def lists(rows, k):
    """L_i: the image itself, then the others by (cosine down, row up)."""
    similarity = cosines(rows)
    number = np.arange(len(rows))
    orders = [np.lexsort((number, -similarity[i], number != i))[:k] for i in number]
    return np.array(orders, np.int32).reshape(len(rows), k)


def encoding(rows, k1, k2):
    """V [N, N] float64, query expansion included."""
    ranked, similarity = lists(rows, k1), cosines(rows)

    def reciprocal(i, k):
        return {int(j) for j in ranked[i][: k + 1] if i in ranked[j][: k + 1]}

    v = np.zeros(similarity.shape)
    half = int(np.around(k1 / 2))
    for i in range(len(rows)):
        unexpanded = reciprocal(i, k1)
        expanded = set(unexpanded)
        for j in unexpanded:
            candidate = reciprocal(j, half)
            if len(candidate & unexpanded) * 3 > 2 * len(candidate):
                expanded |= candidate
        columns = sorted(expanded)
        weights = np.exp(-(2 - 2 * similarity[i, columns]))
        v[i, columns] = weights / weights.sum()
    return np.stack([v[ranked[i][:k2]].mean(axis=0) for i in range(len(rows))])


def distances(v):
    overlap = np.stack([np.minimum(v, row).sum(axis=1) for row in v])
    return np.maximum(1 - overlap / (2 - overlap), 0)


def dbscan(d, eps, min_samples):
    """Labels and core flags: DBSCAN, border images to the cluster of their nearest core neighbour."""
    near = d <= eps + TOLERANCE
    np.fill_diagonal(near, True)
    core = near.sum(axis=1) >= min_samples
    key = np.full(len(d), -1)
    for i in np.flatnonzero(core):
        if key[i] < 0:
            key[i], queue = i, [i]
            while queue:
                reached = np.flatnonzero(near[queue.pop()] & core & (key < 0))
                key[reached] = i
                queue.extend(reached)
    for i in np.flatnonzero(~core):
        support = np.flatnonzero(near[i] & core)
        if len(support):
            key[i] = min(
                (np.float32(d[i, j]), -(key[support] == key[j]).sum(), key[j]) for j in support
            )[2]
    numbers = {k: n for n, k in enumerate(dict.fromkeys(key[key >= 0].tolist()))}
    return np.array([numbers.get(k, -1) for k in key.tolist()], np.int64), core


def confidence(d, eps, labels, core):
    near = (d <= eps + TOLERANCE) & (labels[:, None] == labels[None])
    np.fill_diagonal(near, False)
    values = np.zeros(len(d))
    for i in np.flatnonzero(labels >= 0):
        support = near[i] & core if (near[i] & core).any() else near[i]
        values[i] = (1 - d[i, support]).mean() if support.any() else 0
    return values


def pseudo_label(rows, k1, k2, eps, min_samples):
    k1, k2 = min(k1, len(rows)), min(k2, len(rows))
    return dbscan(distances(encoding(rows, k1, k2)), eps, min_samples)


@pytest.fixture(scope="session")
def twin():
    return SimpleNamespace(
        cosines=cosines,
        lists=lists,
        encoding=encoding,
        distances=distances,
        dbscan=dbscan,
        confidence=confidence,
        pseudo_label=pseudo_label,
    )


@pytest.fixture(scope="session")
def make():
    """Makers of features: unit(array), people(num_people, images, dimension, noise, seed), awkward()."""
    rng = np.random.default_rng(5)
    one = unit(rng.standard_normal((1, 8)))
    spread = unit(rng.standard_normal((90, 8)))
    awkward = {
        "random": unit(rng.standard_normal((130, 16))),
        "copies of every image": spread[rng.integers(0, 90, 160)],
        "copies of one image": np.concatenate([np.repeat(one, 70, 0), spread])[
            rng.permutation(160)
        ],
        "all equal": np.repeat(one, 50, 0),
        "one-hot": np.eye(60, dtype=np.float32),
        "coarse grid": (rng.choice([-1, 1], (140, 16)) / 4).astype(np.float32),
        "negative zero": np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, -0.0], [1.0, 0.0]], np.float32),
        "collapsed": unit(1 + 1e-4 * rng.standard_normal((120, 16))),
        "two dimensions": unit(rng.standard_normal((100, 2))),
        "one dimension": np.sign(rng.standard_normal((40, 1))).astype(np.float32),
    }
    return SimpleNamespace(unit=unit, people=people, awkward=awkward)


@pytest.fixture(scope="session")
def arrive():
    """Makers of images that were there before and of those that come: known_of(rows, ids, **options), split(...)."""
    from itkm_core.clustering import pseudo_label
    from itkm_core.clustering.arrivals.label import Known
    from itkm_core.neighbors.nearest import nearest

    def known_of(rows, ids=None, **options):
        """Known images as labelling them at once gives them, in order of sample id."""
        ids = np.arange(len(rows)) if ids is None else np.asarray(ids)
        order = np.argsort(ids)
        rows, ids = rows[order], ids[order]
        found = pseudo_label(rows, **options)
        k1 = min(options["k1"], len(rows))
        lists = nearest(rows, k1).indices if len(rows) else np.zeros((0, 0), np.int32)
        return Known(ids, rows, lists, found.labels, found.is_core)

    def split(rows, share, seed):
        """Random ids for all rows, and which of them come later."""
        rng = np.random.default_rng(seed)
        ids = rng.permutation(3 * len(rows))[: len(rows)]
        return ids, rng.random(len(rows)) < share

    return SimpleNamespace(known_of=known_of, split=split)
