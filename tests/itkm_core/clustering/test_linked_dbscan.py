"""Clusters of units, against a twin on dense arrays that joins pair by pair."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_graphs import graph_of_matrix, matrix

from itkm_core.clustering.confidence import confidence
from itkm_core.clustering.dbscan import Clustering, dbscan
from itkm_core.clustering.linked_dbscan import linked_dbscan
from itkm_core.clustering.linked_graph import linked_graph

TOLERANCE = 1e-6


def naive_clusters(d, frames, apart, first_alike, eps, min_samples, alone):
    """Labels and core flags. first_alike [U]: the first unit with the same distances and frames, not apart."""
    num = len(d)
    d = d.copy()
    strangers = [set() for _ in range(num)]
    for a, b in apart:
        d[a, b] = d[b, a] = 2
        strangers[a].add(b)
        strangers[b].add(a)
    near = d <= eps + TOLERANCE
    np.fill_diagonal(near, True)
    core = near @ frames >= min_samples
    pairs = [(i, j) for i, j in combinations(range(num), 2) if near[i, j] and core[i] and core[j]]

    def joined(pairs, forbidden):
        part = [{i} for i in range(num)]
        for i, j in pairs:
            a, b = part[i], part[j]
            if a is not b and not (forbidden and any(strangers[k] & b for k in a)):
                a |= b
                for k in b:
                    part[k] = a
        return part

    part = joined(pairs, forbidden=False)
    wrong = {min(part[a]) for a, b in apart if core[a] and core[b] and part[a] is part[b]}
    if wrong:

        def weakness(pair):
            return np.float32(d[pair]), *sorted((first_alike[pair[0]], first_alike[pair[1]]))

        cut = joined(sorted(pairs, key=weakness), forbidden=True)
        part = [cut[i] if min(part[i]) in wrong else part[i] for i in range(num)]
    key = [min(part[i]) if core[i] else -1 for i in range(num)]

    def choose(i):
        cores = [j for j in range(num) if near[i, j] and core[j]]
        taken = {key[j] for j in strangers[i]}
        cores = [j for j in cores if key[j] not in taken]
        if not cores:
            return -1
        least = min(np.float32(d[i, j]) for j in cores)
        counts = {k: sum(key[j] == k for j in cores) for k in {key[j] for j in cores}}
        best = {key[j] for j in cores if np.float32(d[i, j]) == least}
        return min(best, key=lambda k: (-counts[k], k))

    def distance(i):
        return min((np.float32(d[i, j]) for j in range(num) if near[i, j] and core[j]), default=2)

    border = [i for i in range(num) if not core[i]]
    for i in sorted(border, key=lambda i: (not strangers[i], distance(i), i)):
        key[i] = choose(i)
    core = core.copy()
    for i in range(num):
        if key.count(key[i]) == 1 and key[i] >= 0 and frames[i] < alone:
            key[i], core[i] = -1, False
        elif key[i] < 0 and frames[i] >= alone:
            key[i], core[i] = num + i, True
    order = list(dict.fromkeys(k for k in key if k >= 0))
    return [order.index(k) if k >= 0 else -1 for k in key], core


def naive_confidence(d, frames, apart, eps, labels, core):
    d = d.copy()
    for a, b in apart:
        d[a, b] = d[b, a] = 2
    found = np.zeros(len(d))
    for i in np.flatnonzero(np.asarray(labels) >= 0):
        mates = [j for j in range(len(d)) if j != i and labels[j] == labels[i]]
        near = [j for j in mates if d[i, j] <= eps + TOLERANCE]
        cores = [(frames[j], 1 - d[i, j]) for j in near if core[j]]
        if core[i]:
            cores.append((frames[i] - 1, 1.0))
        if not sum(n for n, _ in cores) and core[i]:
            cores = [(frames[j], 1 - d[i, j]) for j in near if not core[j]]
        total = sum(n for n, _ in cores)
        found[i] = sum(n * s for n, s in cores) / total if total else 0
    return found


@st.composite
def problems(draw):
    num = draw(st.integers(1, 24))
    d = matrix(draw(st.integers(0, 10**6)), num, draw(st.sampled_from([4, 20, 1000])))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    # Some units are alike: one type of the graph.
    members = rng.integers(0, num, num) if draw(st.booleans()) else np.arange(num)
    within = rng.choice([0.1, 0.45, 1.0], num)
    of_units = np.where(
        (members[:, None] == members) & ~np.eye(num, dtype=bool),
        within[members][:, None],
        d[np.ix_(members, members)],
    )
    frames = rng.integers(1, 7, num)
    pairs = rng.integers(0, num, (draw(st.integers(0, 2 * num)), 2))
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    return d, members, within, of_units, frames, pairs.astype(np.int64)


@settings(max_examples=400)
@given(
    problems(),
    st.sampled_from([0.25, 0.4, 0.5, 0.75]),
    st.integers(1, 12),
    st.sampled_from([1, 4, 9]),
)
def test_clusters_are_the_twins_and_hold_no_two_units_apart(problem, eps, min_samples, alone):
    d, members, within, of_units, frames, pairs = problem
    kinds = np.column_stack(
        [members, frames, np.isin(np.arange(len(d)), pairs) * (1 + np.arange(len(d)))]
    )
    first_alike = [int(np.flatnonzero((kinds == kind).all(axis=1))[0]) for kind in kinds]
    used = np.unique(members)
    number = np.searchsorted(used, members)
    graph = graph_of_matrix(d[np.ix_(used, used)].copy(), within[used], number)
    linked = linked_graph(graph, frames, pairs)
    found = linked_dbscan(linked, frames, eps=eps, min_samples=min_samples, alone=alone)
    labels, core = naive_clusters(of_units, frames, pairs, first_alike, eps, min_samples, alone)
    assert found.labels.tolist() == labels
    assert found.is_core.tolist() == list(core)
    together = found.labels[pairs]
    assert not ((together[:, 0] == together[:, 1]) & (together[:, 0] >= 0)).any()
    support = confidence(linked.graph, found, eps=eps, frames=linked.frames)
    expected = naive_confidence(of_units, frames, pairs, eps, labels, core)
    np.testing.assert_allclose(support, expected, atol=1e-6)
    assert ((support >= 0) & (support <= 1)).all()


def without_lone_images(found):
    """Clusters of one image are none where units are clustered."""
    labels = [-1 if k >= 0 and (found.labels == k).sum() == 1 else k for k in found.labels]
    kept = sorted(set(labels) - {-1})
    labels = np.array([-1 if k < 0 else kept.index(k) for k in labels])
    return Clustering(labels, found.is_core & ((found.labels < 0) | (labels >= 0)))


@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([0.25, 0.5]))
@example(3338, 39, 0.25)  # has a core image whose neighbours are all nearer to others
def test_units_of_one_image_with_nothing_apart_are_dbscan(seed, num, eps):
    graph = graph_of_matrix(matrix(seed, num, 20))
    frames = np.ones(num, np.int64)
    linked = linked_graph(graph, frames, np.zeros((0, 2), np.int64))
    plain = without_lone_images(dbscan(graph, eps=eps, min_samples=4))
    found = linked_dbscan(linked, frames, eps=eps, min_samples=4, alone=4)
    np.testing.assert_array_equal(found.labels, plain.labels)
    np.testing.assert_array_equal(found.is_core, plain.is_core)
    assert (
        confidence(linked.graph, found, eps=eps, frames=linked.frames).tobytes()
        == confidence(graph, plain, eps=eps).tobytes()
    )


def test_a_chain_is_cut_at_its_weakest_link():
    d = np.ones((5, 5))
    for i, far in enumerate([0.2, 0.3, 0.4, 0.1]):
        d[i, i + 1] = d[i + 1, i] = far
    frames = np.full(5, 4)
    linked = linked_graph(graph_of_matrix(d), frames, np.array([[0, 4]]))
    found = linked_dbscan(linked, frames, eps=0.5, min_samples=4, alone=4)
    assert found.labels.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(("frames", "label"), [(3, -1), (4, 0)])
def test_a_unit_that_joins_nothing_needs_frames(frames, label):
    count = np.array([frames])
    linked = linked_graph(graph_of_matrix(np.zeros((1, 1))), count, np.zeros((0, 2), np.int64))
    found = linked_dbscan(linked, count, eps=0.5, min_samples=4, alone=4)
    assert found.labels.tolist() == [label]
    support = confidence(linked.graph, found, eps=0.5, frames=linked.frames)
    assert support.tolist() == [1.0 if label == 0 else 0.0]
    assert isinstance(found, Clustering)
