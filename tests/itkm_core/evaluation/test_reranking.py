"""Re-ranking against the paper's code restated on dense (Q + G)^2 arrays."""

import numpy as np
import pytest
from made import people, unit

from itkm_core.evaluation import Rules, retrieve
from itkm_core.evaluation.images import as_images
from itkm_core.evaluation.reranking import rerank


def naive_distance(rows, num_query, twin, k1=20, k2=6, kept=0.3):
    """The final distance [Q, N - Q] of the first rows from the others."""
    number = len(rows)
    ranked = twin.lists(rows, number)
    original = 2 - 2 * twin.cosines(rows)
    largest = original.max(axis=1, keepdims=True)
    original /= np.where(largest > 0, largest, 1)

    def reciprocal(i, k):
        return [j for j in ranked[i, : k + 1] if i in ranked[j, : k + 1]]

    v = np.zeros((number, number))
    for i in range(number):
        near = reciprocal(i, k1)
        expanded = set(near)
        for j in near:
            candidate = reciprocal(j, int(np.around(k1 / 2)))
            if 3 * len(set(candidate) & set(near)) > 2 * len(candidate):
                expanded |= set(candidate)
        columns = sorted(expanded)
        weights = np.exp(-original[i, columns])
        v[i, columns] = weights / weights.sum()
    v = np.stack([v[ranked[i, :k2]].mean(axis=0) for i in range(number)])
    shared = np.stack([np.minimum(v, v[i]).sum(axis=1) for i in range(num_query)])
    jaccard = 1 - shared / (2 - shared)
    return ((1 - kept) * jaccard + kept * original[:num_query])[:, num_query:]


ROWS = {
    "people": people(14, 8, 16, 1.0, 1, shuffled=True),
    "copies": people(12, 6, 8, 0.6, 2)[np.random.default_rng(3).integers(0, 72, 100)],
    "grid": (np.random.default_rng(4).choice([-1, 1], (90, 16)) / 4).astype(np.float32),
    "few": people(3, 4, 8, 1.0, 5),
    "all equal": np.repeat(unit(np.ones((1, 4))), 30, 0),
}


@pytest.mark.parametrize(("k1", "k2", "kept"), [(20, 6, 0.3), (21, 1, 0.0), (5, 3, 0.8)])
@pytest.mark.parametrize("name", ROWS)
def test_distances_agree_with_dense_arrays(twin, name, k1, k2, kept):
    rows = ROWS[name]
    cut = len(rows) // 4
    query, gallery = (
        as_images("made", part, None, None, None) for part in (rows[:cut], rows[cut:])
    )
    scores = rerank(query, gallery, k1, k2, kept)
    want = 1 - naive_distance(rows, cut, twin, k1, k2, kept)
    np.testing.assert_allclose(scores.block(0, cut), want, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(scores.block(2, cut), scores.block(0, cut)[2:])


def test_scores_are_those_of_the_dense_order_without_what_the_rules_leave_out(twin):
    rng = np.random.default_rng(6)
    rows = people(14, 8, 16, 1.2, 7)
    person = np.where(rng.random(112) < 0.1, rng.integers(-1, 1, 112), np.arange(112) // 8 + 1)
    camera = rng.integers(0, 3, 112)
    order = rng.permutation(112)
    rows, person, camera = rows[order], person[order], camera[order]
    columns = rows[:25], rows[25:], person[:25], person[25:], camera[:25], camera[25:]
    before = retrieve(*columns, rules=Rules(blind=frozenset({(0, 1)})), num_answers=9)
    got = before.rerank()

    inside = np.flatnonzero(person[25:] >= 0)  # junk is in no one's list
    distance = naive_distance(np.concatenate([rows[:25], rows[25:][inside]]), 25, twin)
    aps = []
    for q in range(25):
        same = (person[25:][inside] == person[q]) & (person[q] > 0)
        left = ~(same & (camera[25:][inside] == camera[q]))
        left &= ~((camera[q] == 0) & (camera[25:][inside] == 1))
        best = np.flatnonzero(left)[np.argsort(np.float32(distance[q][left]), kind="stable")]
        assert got.answers[q].tolist() == inside[best][:9].tolist()
        ranks = np.flatnonzero(same[best]) + 1
        if len(ranks):
            aps.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    assert (got.ranking.num_queries, len(aps)) == (len(aps), before.ranking.num_queries)
    np.testing.assert_allclose(got.ranking.mean_ap, np.mean(aps), rtol=0, atol=1e-9)
    assert got.ranking.mean_ap > before.ranking.mean_ap + 0.02  # else it is no re-ranking
    assert got.scores.shape == before.scores.shape


def test_options_and_empty_sides():
    rows = ROWS["people"]
    found = retrieve(rows[:3], rows[3:])
    for wrong in ({"k1": 0}, {"k2": 0}, {"kept": 1.5}):
        with pytest.raises(ValueError, match="k1 and k2 must be at least 1"):
            found.rerank(**wrong)
    assert retrieve(rows[:0], rows).rerank().answers.shape == (0, 20)
    assert retrieve(rows[:3], rows[:0]).rerank().answers.shape == (3, 0)
