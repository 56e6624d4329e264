"""The slow, obvious twins of matching: docs/definition.md, "CHM" and "IHM", word for word,
by enumeration and whole sorts."""

from __future__ import annotations

from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
from made import unit, unit_noise


def two_sides(num_0, num_1, dimension, noise, seed, offset=0.0):
    """Two noisy views of the same people; `offset` pushes the sides apart and makes hubs."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((max(num_0, num_1), dimension))
    side = offset * rng.standard_normal((1, dimension))
    noisy = [base + sign * side + noise * rng.standard_normal(base.shape) for sign in (1, -0.5)]
    return unit(noisy[0][:num_0]), unit(noisy[1][:num_1])


def affinity(c0, c1, t0, t1, beta):
    a = np.zeros((len(c0), len(c1)))
    for i in range(len(c0)):
        for j in range(len(c1)):
            image = float(c0[i].astype(float) @ c1[j].astype(float))
            text = image if t0 is None else float(t0[i].astype(float) @ t1[j].astype(float))
            a[i, j] = image if t0 is None else beta * image + (1 - beta) * text
    return a


def best_matching(a):
    """Of all ways to match every row or every column of `a`, the one of largest sum."""
    if a.shape[0] > a.shape[1]:
        return [(i, j) for j, i in best_matching(a.T)]
    ways = permutations(range(a.shape[1]), a.shape[0])
    best = max(ways, key=lambda way: sum(a[i, j] for i, j in enumerate(way)))
    return list(enumerate(best))


def progressive(a):
    """Pairs of the progressive matching of affinities [K0, K1], by trying every matching in every round."""
    if 0 in a.shape:
        return []
    if a.shape[0] < a.shape[1]:
        return sorted((i, j) for j, i in progressive(a.T))
    waiting, pairs = list(range(a.shape[0])), []
    while waiting:
        found = [(waiting[i], j) for i, j in best_matching(a[waiting])]
        pairs += found
        waiting = [i for i in waiting if i not in {i for i, _ in found}]
    return sorted(pairs)


def positives(f0, f1, t0, t1, k):
    """P_i of every row of f0, each sorted by image order: two whole sorts a row, then their common part."""
    number, found = np.arange(len(f1)), []
    for i in range(len(f0)):
        image = (f1.astype(float) * f0[i].astype(float)).sum(axis=1)
        near = np.lexsort((number, -image))[:k].tolist()
        if t0 is not None:
            text = np.rint((t1.astype(float) * t0[i].astype(float)).sum(axis=1) / 1e-5)
            in_text = set(np.lexsort((number, -image, -text))[:k].tolist())
            near = [j for j in near if j in in_text]
        found.append(near)
    return found


@pytest.fixture(scope="session")
def twin():
    return SimpleNamespace(affinity=affinity, progressive=progressive, positives=positives)


@pytest.fixture(scope="session")
def make():
    return SimpleNamespace(unit=unit, rows=unit_noise, two_sides=two_sides)


@pytest.fixture(scope="session")
def as_lists():
    """The lists of a Csr, as Python lists."""
    return lambda csr: [csr.row(number).tolist() for number in range(len(csr.indptr) - 1)]
