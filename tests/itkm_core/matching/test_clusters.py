import math
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itkm_core.errors import ConfigError, FeatureError
from itkm_core.matching import match_clusters
from itkm_core.matching.assignment import DenseAffinities, progressive

SIZES = [(1, 1), (1, 4), (5, 1), (3, 3), (5, 5), (2, 5), (7, 3), (3, 7), (6, 4)]
NO_ROWS = np.zeros((0, 8), np.float32)


def sides(make, num_0, num_1, seed=0):
    return [make.rows(n, 8, seed + at) for at, n in enumerate((num_0, num_1, num_0, num_1))]


@pytest.mark.parametrize(("num_0", "num_1"), SIZES)
@pytest.mark.parametrize("beta", [0, 0.3, 0.5, 1])
def test_pairs_are_the_twins(make, twin, num_0, num_1, beta):
    vectors = sides(make, num_0, num_1)
    found = match_clusters(*vectors, image_weight=beta)
    affinity = twin.affinity(*vectors, beta)
    assert list(map(tuple, found.pairs.tolist())) == twin.progressive(affinity)
    np.testing.assert_allclose(found.affinity, affinity[tuple(found.pairs.T)], atol=1e-6)
    assert (found.method, found.num_clusters) == ("dense", (num_0, num_1))
    assert (found.pairs.dtype, found.affinity.dtype) == (np.int64, np.float32)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 6))
def test_pairs_are_the_twins_without_text(make, twin, seed, num_0, num_1):
    vectors = sides(make, num_0, num_1, seed)[:2]
    found = match_clusters(*vectors, image_weight=0.1)
    affinity = twin.affinity(*vectors, None, None, 1)
    assert list(map(tuple, found.pairs.tolist())) == twin.progressive(affinity)


def test_the_weight_decides_between_image_and_text(make):
    image, text = np.eye(3, 8, dtype=np.float32), np.eye(3, 8, dtype=np.float32)
    turned = text[[1, 2, 0]]
    by_image = match_clusters(image, image, text, turned, image_weight=0.6)
    by_text = match_clusters(image, image, text, turned, image_weight=0.4)
    assert by_image.pairs.tolist() == [[0, 0], [1, 1], [2, 2]]
    assert by_text.pairs.tolist() == [[0, 2], [1, 0], [2, 1]]


@pytest.mark.parametrize("quantile", [0, 0.2, 0.5, 1])
@pytest.mark.parametrize("dense_limit", [5000, 0])
def test_reliable_pairs_are_at_or_above_the_quantile(make, quantile, dense_limit):
    found = match_clusters(
        *make.two_sides(30, 20, 8, 0.8, 1),
        quantile=quantile,
        dense_limit=dense_limit,
        candidates=5,
    )
    ranked = sorted(found.affinity.astype(float))
    at = quantile * (len(ranked) - 1)
    low, part = math.floor(at), at - math.floor(at)
    expected = ranked[low] + part * (ranked[min(low + 1, len(ranked) - 1)] - ranked[low])
    assert found.threshold == pytest.approx(expected, abs=1e-12)
    assert found.reliable.tolist() == [
        value >= found.threshold for value in found.affinity.astype(float)
    ]
    assert found.reliable.sum() == len(ranked) - math.ceil(at)


@pytest.mark.parametrize("dense_limit", [5000, 0])
def test_mutual_pairs_are_each_others_best(make, twin, dense_limit):
    vectors = make.two_sides(30, 20, 8, 0.8, 1)
    found = match_clusters(*vectors, dense_limit=dense_limit, candidates=5)
    a = twin.affinity(*vectors, None, None, 1)
    expected = [a[i].argmax() == j and a[:, j].argmax() == i for i, j in found.pairs]
    assert found.mutual.tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_reliable_pairs_may_be_the_mutual_ones_alone(make):
    vectors = make.two_sides(30, 20, 8, 0.8, 1)
    both = match_clusters(*vectors, quantile=0.8)
    found = match_clusters(*vectors, quantile=0.8, mutual_only=True)
    assert found.reliable.tolist() == (both.reliable & both.mutual).tolist()
    assert 0 < found.reliable.sum() < min(both.reliable.sum(), both.mutual.sum())


@pytest.mark.parametrize("dense_limit", [5000, 0])
def test_reliable_pairs_may_be_those_that_stand_out(make, twin, dense_limit):
    """Dense and by candidates, against the twin's affinities, cluster by cluster."""
    vectors = make.two_sides(60, 50, 24, 0.8, 1)
    options = {"dense_limit": dense_limit, "candidates": 20}
    found = match_clusters(*vectors, chance=0.2, **options)
    a = twin.affinity(*vectors, None, None, 1)

    def chance(values):
        ranked = sorted(values, reverse=True)[:15]
        others = sum(k * (ranked[k - 1] - ranked[k]) for k in range(2, 15))
        return (1 + (ranked[0] - ranked[1]) / others) ** -13

    both = match_clusters(*vectors, **options)
    np.testing.assert_array_equal(found.pairs, both.pairs)
    expected = [
        bool(mutual) and math.sqrt(chance(a[i]) * chance(a[:, j])) <= 0.2
        for (i, j), mutual in zip(found.pairs.tolist(), found.mutual, strict=True)
    ]
    assert found.reliable.tolist() == expected
    assert 0 < sum(expected) < found.mutual.sum()
    assert math.isnan(found.threshold)


def test_of_two_clusters_nobody_stands_out(make):
    vectors = make.two_sides(9, 2, 8, 0.1, 1)
    assert not match_clusters(*vectors, chance=0.9).reliable.any()
    assert match_clusters(*vectors, chance=1.0).reliable.any()
    with pytest.raises(ConfigError, match=r"chance is 1\.5; expected a number from 0 to 1"):
        match_clusters(*vectors, chance=1.5)


def test_targets_are_the_reliable_partners(make, as_lists):
    found = match_clusters(*make.two_sides(9, 4, 8, 0.8, 1), quantile=0.4)
    kept = found.pairs[found.reliable].tolist()
    assert as_lists(found.targets(0)) == [[b for a, b in kept if a == own] for own in range(9)]
    assert as_lists(found.targets(1)) == [[a for a, b in kept if b == own] for own in range(4)]
    assert max(found.targets(1).sizes) > 1
    assert 0 in found.targets(0).sizes
    indptr, indices = found.targets(1)
    assert indptr.dtype == indices.dtype == np.int64


@pytest.mark.parametrize("dense_limit", [5000, 0])
@pytest.mark.parametrize(("num_0", "num_1"), [(40, 40), (60, 25), (25, 60)])
def test_every_cluster_is_matched_and_the_larger_side_in_fewest_rounds(
    make, dense_limit, num_0, num_1
):
    # Hubs: the sides lie apart, so that many clusters have the same few candidates.
    vectors = make.two_sides(num_0, num_1, 8, 0.8, 2, offset=2.0)
    found = match_clusters(*vectors, dense_limit=dense_limit, candidates=4)
    for side, num in enumerate((num_0, num_1)):
        assert set(found.pairs[:, side]) == set(range(num))
    if dense_limit:
        assert len(found.pairs) == max(num_0, num_1)
        smaller = np.bincount(found.pairs[:, int(num_1 <= num_0)])
        assert smaller.max() == math.ceil(max(num_0, num_1) / min(num_0, num_1))
    assert len(found.pairs) == len(np.unique(found.pairs, axis=0))


@pytest.mark.parametrize(("num_0", "num_1"), [(300, 300), (300, 130), (130, 300)])
@pytest.mark.parametrize(
    ("noise", "offset", "share"), [(0.5, 0, 1.0), (1.5, 0, 0.999), (0.6, 0.5, 0.97)]
)
def test_candidates_reach_a_share_of_the_whole_matrix(make, num_0, num_1, noise, offset, share):
    vectors = make.two_sides(num_0, num_1, 32, noise, 3, offset)
    text = make.two_sides(num_0, num_1, 16, noise, 4)
    dense = match_clusters(*vectors, *text)
    sparse = match_clusters(*vectors, *text, dense_limit=100, candidates=20)
    assert (dense.method, sparse.method) == ("dense", "sparse")
    assert sparse.affinity.sum() >= share * dense.affinity.sum() - 1e-4
    if share == 1:
        np.testing.assert_array_equal(sparse.pairs, dense.pairs)
        np.testing.assert_array_equal(sparse.affinity, dense.affinity)


def test_all_candidates_are_the_whole_matrix(make):
    # With every opposite cluster a candidate, one round is the best matching: equal numbers, hard or not.
    vectors = make.two_sides(25, 25, 8, 1.5, 5, offset=1.0)
    dense = match_clusters(*vectors)
    sparse = match_clusters(*vectors, dense_limit=0, candidates=24)
    assert sparse.method == "sparse"
    np.testing.assert_array_equal(sparse.pairs, dense.pairs)


def test_candidates_take_no_memory_of_the_whole_matrix(make):
    vectors = make.two_sides(3000, 2500, 16, 0.8, 6)
    tracemalloc.start()
    try:
        found = match_clusters(*vectors, dense_limit=1000, candidates=5, num_threads=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.method == "sparse"
    # One byte a pair would be 7.5 MB; of what is kept here nothing but the search's blocks is of that size.
    assert peak < 3000 * 2500 * 4 / 2


@pytest.mark.parametrize(
    ("num_0", "num_1", "method"),
    [(30, 20, "dense"), (31, 20, "sparse"), (20, 31, "sparse"), (31, 6, "dense")],
)
def test_the_limit_decides_and_few_clusters_need_no_candidates(make, num_0, num_1, method):
    vectors = make.two_sides(num_0, num_1, 8, 0.8, 1)
    assert match_clusters(*vectors, dense_limit=30, candidates=6).method == method


@pytest.mark.parametrize("dense_limit", [5000, 0])
def test_the_order_of_clusters_changes_only_their_numbers(make, dense_limit):
    c0, c1 = make.two_sides(40, 30, 8, 1.0, 7)
    order_0, order_1 = (
        np.random.default_rng(0).permutation(40),
        np.random.default_rng(1).permutation(30),
    )
    plain = match_clusters(c0, c1, dense_limit=dense_limit, candidates=8)
    moved = match_clusters(c0[order_0], c1[order_1], dense_limit=dense_limit, candidates=8)
    back = np.stack([order_0[moved.pairs[:, 0]], order_1[moved.pairs[:, 1]]], axis=1)
    assert sorted(back.tolist()) == plain.pairs.tolist()


@pytest.mark.parametrize("dense_limit", [5000, 0])
def test_sides_may_be_swapped(make, dense_limit):
    c0, c1 = make.two_sides(40, 30, 8, 1.0, 7)
    plain = match_clusters(c0, c1, dense_limit=dense_limit, candidates=8)
    swapped = match_clusters(c1, c0, dense_limit=dense_limit, candidates=8)
    assert sorted(swapped.pairs[:, ::-1].tolist()) == plain.pairs.tolist()
    assert swapped.threshold == plain.threshold


def test_equal_affinities_go_to_the_lower_numbers_in_order():
    one = np.eye(1, 8, dtype=np.float32)
    found = match_clusters(np.repeat(one, 7, 0), np.repeat(one, 3, 0))
    assert found.pairs.tolist() == [[a, a % 3] for a in range(7)]
    assert found.reliable.all()
    assert found.mutual.tolist() == [True] + [False] * 6


@pytest.mark.parametrize("dense_limit", [5000, 0])
def test_ties_keep_the_order_of_numbers(twin, dense_limit):
    # Components that are powers of two: affinities are exact, and ties are everywhere.
    rng = np.random.default_rng(0)
    for _ in range(10):
        c0, c1 = ((rng.choice([-1, 1], (9, 4)) / 2).astype(np.float32) for _ in range(2))
        a = twin.affinity(c0, c1, None, None, 1)
        pairs = match_clusters(c0, c1, dense_limit=dense_limit, candidates=8).pairs.tolist()
        assert len(pairs) == 9
        for low, b_low in pairs:
            for high, b_high in pairs:
                if low < high and b_low > b_high:
                    assert a[low, b_low] + a[high, b_high] > a[low, b_high] + a[high, b_low]


@pytest.mark.parametrize("dense_limit", [5000, 0])
def test_copies_of_a_cluster_are_matched_in_order(make, dense_limit):
    c0, c1 = make.two_sides(8, 8, 8, 0.3, 8)
    copies = [0, 1, 2, 2, 3, 4, 5, 2]
    found = match_clusters(c0[copies], c1[copies], dense_limit=dense_limit, candidates=5)
    assert found.pairs.tolist() == [[a, a] for a in range(8)]


@pytest.mark.parametrize("dense_limit", [5000, 0])
def test_twice_the_same_is_the_same(make, dense_limit):
    vectors = make.two_sides(60, 40, 4, 2.0, 9)
    runs = [
        match_clusters(*vectors, dense_limit=dense_limit, candidates=6, num_threads=threads)
        for threads in (1, 3)
    ]
    for name in ("pairs", "affinity", "reliable", "mutual"):
        np.testing.assert_array_equal(getattr(runs[0], name), getattr(runs[1], name))


@pytest.mark.parametrize(("num_0", "num_1"), [(0, 4), (4, 0), (0, 0)])
@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("dense_limit", [5000, 0])
def test_a_side_without_clusters_gives_no_pair(make, num_0, num_1, text, dense_limit):
    vectors = [make.rows(n, 8, 0) if n else NO_ROWS for n in (num_0, num_1)]
    found = match_clusters(*vectors, *(vectors if text else ()), dense_limit=dense_limit)
    assert found.pairs.shape == (0, 2)
    assert len(found.affinity) == len(found.reliable) == len(found.mutual) == 0
    assert math.isnan(found.threshold)
    assert (found.method, found.num_clusters) == ("empty", (num_0, num_1))
    assert found.targets(0).indptr.tolist() == [0] * (num_0 + 1)
    assert found.targets(1).indptr.tolist() == [0] * (num_1 + 1)


def test_progressive_takes_any_affinities():
    # The rounds of the definition on numbers chosen by hand: 0 and 1 lose column 0 to 2, then share it.
    affinities = DenseAffinities(np.zeros((4, 1), np.float32), np.zeros((2, 1), np.float32))
    affinities._scores = np.array([[5.0, 0], [4, 1], [9, 0], [3, 2.5]])
    assert progressive(affinities).tolist() == [[0, 0], [1, 1], [2, 0], [3, 1]]


def test_what_does_not_fit_is_refused(make):
    c0, c1, t0, t1 = sides(make, 4, 3)
    with pytest.raises(ConfigError, match="text_1 is missing"):
        match_clusters(c0, c1, t0)
    with pytest.raises(ConfigError, match="text_0 is missing"):
        match_clusters(c0, c1, None, t1)
    with pytest.raises(FeatureError, match="side 1 has 4 texts for 3 centroids"):
        match_clusters(c0, c1, t0, t0)
    with pytest.raises(FeatureError, match="centroids have 8 columns in g = 0 and 7"):
        match_clusters(c0, make.rows(3, 7, 0))
    with pytest.raises(FeatureError, match="unit norm"):
        match_clusters(2 * c0, c1)
    with pytest.raises(FeatureError, match="NaN"):
        match_clusters(c0, c1, t0, t1 * np.nan)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_weight", -0.1),
        ("image_weight", 1.1),
        ("quantile", 2),
        ("quantile", math.nan),
        ("dense_limit", -1),
        ("candidates", 0),
        ("candidates", 2.5),
    ],
)
def test_parameters_out_of_range_are_refused(make, name, value):
    with pytest.raises(ConfigError, match=f"{name} is"):
        match_clusters(*sides(make, 4, 3), **{name: value})


def test_import_loads_no_torch():
    code = (
        "import sys, itkm_core.matching;"
        "sys.exit(bool({'torch', 'open_clip', 'sklearn', 'faiss'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
