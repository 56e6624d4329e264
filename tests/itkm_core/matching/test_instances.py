import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itkm_core.errors import ConfigError, FeatureError
from itkm_core.matching import instances, match_instances


def scene(make, num_0, num_1, num_texts, seed, noise=0.8):
    """Features and texts of two groups; the images of a group share `num_texts` texts of their own."""
    rng = np.random.default_rng(seed)
    people = rng.standard_normal((num_texts, 8))
    out = []
    for num in (num_0, num_1):
        who = rng.integers(0, num_texts, num)
        texts = make.unit(people + 0.3 * rng.standard_normal(people.shape))
        out.append((make.unit(people[who] + noise * rng.standard_normal((num, 8))), texts[who]))
    return out[0][0], out[1][0], out[0][1], out[1][1]


def check(found, twin, as_lists, f0, f1, t0, t1, k):
    assert as_lists(found.positives_0) == twin.positives(f0, f1, t0, t1, k)
    assert as_lists(found.positives_1) == twin.positives(f1, f0, t1, t0, k)


@pytest.mark.parametrize("backend", ["faiss-flat", "torch"])
@pytest.mark.parametrize("num_texts", [1, 2, 7, 40])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_sets_are_the_twins(make, twin, as_lists, backend, num_texts, k):
    vectors = scene(make, 70, 50, num_texts, 0)
    check(match_instances(*vectors, k=k, backend=backend), twin, as_lists, *vectors, k)


@settings(max_examples=40)
@given(
    st.integers(0, 10**6), st.integers(1, 25), st.integers(1, 25), st.integers(1, 12), st.booleans()
)
def test_sets_are_the_twins_where_all_tie(make, twin, as_lists, seed, num_0, num_1, k, text):
    # Components that are powers of two: sums are exact, and ties in both spaces are everywhere.
    rng = np.random.default_rng(seed)
    f0, f1, t0, t1 = (
        (rng.choice([-1, 1], (num, 4)) / 2).astype(np.float32)
        for num in (num_0, num_1, num_0, num_1)
    )
    texts = (t0, t1) if text else (None, None)
    check(match_instances(f0, f1, *texts, k=k), twin, as_lists, f0, f1, *texts, k)


@pytest.mark.parametrize("k", [1, 4, 20])
@pytest.mark.parametrize("text", [True, False])
def test_mutual_sets_are_those_both_sides_agree_on(make, twin, as_lists, k, text):
    f0, f1, t0, t1 = scene(make, 70, 50, 7, 0)
    t0, t1 = (t0, t1) if text else (None, None)
    found = match_instances(f0, f1, t0, t1, k=k, mutual_only=True)
    sets_0, sets_1 = twin.positives(f0, f1, t0, t1, k), twin.positives(f1, f0, t1, t0, k)
    wanted_0 = [[j for j in row if i in sets_1[j]] for i, row in enumerate(sets_0)]
    wanted_1 = [[i for i in row if j in sets_0[i]] for j, row in enumerate(sets_1)]
    assert as_lists(found.positives_0) == wanted_0
    assert as_lists(found.positives_1) == wanted_1
    assert 0 < sum(map(len, wanted_0)) < sum(map(len, sets_0))


def test_texts_that_are_all_different(make, twin, as_lists):
    vectors = [*scene(make, 60, 45, 9, 1)[:2], make.rows(60, 8, 2), make.rows(45, 8, 3)]
    check(match_instances(*vectors, k=15), twin, as_lists, *vectors, 15)


@pytest.mark.parametrize("k", [1, 6, 45, 500])
def test_without_text_the_image_space_decides(make, twin, as_lists, k):
    f0, f1, _, _ = scene(make, 60, 45, 9, 1)
    found = match_instances(f0, f1, k=k)
    check(found, twin, as_lists, f0, f1, None, None, k)
    assert set(found.positives_0.sizes) == {min(k, 45)}
    assert set(found.positives_1.sizes) == {min(k, 60)}


def test_more_neighbours_than_images_are_all_images(make, as_lists):
    vectors = scene(make, 6, 4, 3, 1)
    found = match_instances(*vectors, k=20)
    assert [sorted(row) for row in as_lists(found.positives_0)] == [[0, 1, 2, 3]] * 6
    assert [sorted(row) for row in as_lists(found.positives_1)] == [[0, 1, 2, 3, 4, 5]] * 4


def test_tied_texts_favour_like_images_not_low_rows(make, as_lists):
    # One text for 50 images, of which the last five are like the query: those are its positives.
    rng = np.random.default_rng(0)
    query = np.eye(1, 8, dtype=np.float32)
    far = np.concatenate([np.zeros((45, 1)), rng.standard_normal((45, 7))], axis=1)
    near = np.concatenate([np.full((5, 1), 3.0), rng.standard_normal((5, 7))], axis=1)
    others = make.unit(np.concatenate([far, near]))
    text = np.repeat(query, 50, 0)
    found = match_instances(query, others, query, text, k=5)
    assert sorted(as_lists(found.positives_0)[0]) == [45, 46, 47, 48, 49]


def test_texts_that_differ_by_rounding_tie(make, as_lists, monkeypatch):
    f0, f1, t0, t1 = scene(make, 60, 45, 3, 4)
    exact = match_instances(f0, f1, t0, t1, k=8)
    rng = np.random.default_rng(0)
    off = [t * (1 + rng.choice([-6e-8, 0, 6e-8], t.shape)).astype(np.float32) for t in (t0, t1)]
    assert any((a != b).any() for a, b in zip(off, (t0, t1), strict=True))
    rounded = match_instances(f0, f1, *off, k=8)
    for side in (0, 1):
        assert as_lists(rounded.positives(side)) == as_lists(exact.positives(side))
    monkeypatch.setattr(instances, "TEXT_STEP", 1e-12)
    parted = match_instances(f0, f1, *off, k=8)
    assert as_lists(parted.positives_0) != as_lists(exact.positives_0)


def test_blocks_and_threads_change_nothing(make, as_lists, monkeypatch):
    vectors = scene(make, 90, 70, 6, 5)
    expected = match_instances(*vectors, k=9, num_threads=1)
    monkeypatch.setattr(instances, "BLOCK_ROWS", 13)
    for threads in (1, 4):
        found = match_instances(*vectors, k=9, num_threads=threads)
        for side in (0, 1):
            assert as_lists(found.positives(side)) == as_lists(expected.positives(side))


def test_the_order_of_images_changes_only_their_rows(make, as_lists):
    f0, f1, t0, t1 = scene(make, 60, 45, 5, 6)
    order = np.random.default_rng(0).permutation(45)
    plain = match_instances(f0, f1, t0, t1, k=8)
    moved = match_instances(f0, f1[order], t0, t1[order], k=8)
    back = [order[row].tolist() for row in as_lists(moved.positives_0)]
    assert back == as_lists(plain.positives_0)


@pytest.mark.parametrize("num_hard", [1, 4, 30, 100])
@pytest.mark.parametrize("text", [True, False])
def test_hard_images_are_the_nearest(make, twin, as_lists, num_hard, text):
    f0, f1, t0, t1 = scene(make, 40, 30, 5, 7)
    texts = (t0, t1) if text else (None, None)
    found = match_instances(f0, f1, *texts, k=6, num_hard=num_hard)
    assert found.hard_0.tolist() == twin.positives(f0, f1, None, None, num_hard)
    assert found.hard_1.tolist() == twin.positives(f1, f0, None, None, num_hard)
    assert found.hard(0) is found.hard_0
    assert found.hard(1) is found.hard_1
    assert found.hard_0.dtype == np.int32
    check(found, twin, as_lists, f0, f1, *texts, 6)


def test_no_hard_images_unless_asked_for(make):
    found = match_instances(*scene(make, 6, 4, 3, 1))
    assert found.hard_0 is None
    assert found.hard_1 is None


@pytest.mark.parametrize(("num_0", "num_1"), [(0, 4), (4, 0), (0, 0)])
@pytest.mark.parametrize("text", [True, False])
def test_a_group_without_images_gives_empty_sets(make, num_0, num_1, text):
    f0, f1 = make.rows(5, 8, 0)[:num_0], make.rows(5, 8, 1)[:num_1]
    found = match_instances(f0, f1, *((f0, f1) if text else ()), num_hard=3)
    assert found.positives_0.indptr.tolist() == [0] * (num_0 + 1)
    assert found.positives_1.indptr.tolist() == [0] * (num_1 + 1)
    assert found.positives_0.indices.dtype == np.int32
    assert (len(found.hard_0), len(found.hard_1)) == (num_0, num_1)


def test_memory_is_no_square(make):
    vectors = scene(make, 4000, 4000, 50, 8)
    tracemalloc.start()
    try:
        match_instances(*vectors, k=5, num_threads=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4000 * 4000  # less than one byte a pair


def test_what_does_not_fit_is_refused(make):
    f0, f1, _, t1 = scene(make, 6, 4, 3, 1)
    with pytest.raises(ConfigError, match="text_0 is missing"):
        match_instances(f0, f1, None, t1)
    with pytest.raises(FeatureError, match="side 0 has 4 texts for 6 features"):
        match_instances(f0, f1, t1, t1)
    with pytest.raises(FeatureError, match="features have 8 columns in g = 0 and 7"):
        match_instances(f0, make.rows(3, 7, 0))
    with pytest.raises(FeatureError, match="unit norm"):
        match_instances(f0, 2 * f1)
    for name, value in (("k", 0), ("k", 2.0), ("k", True), ("num_hard", -1)):
        with pytest.raises(ConfigError, match=f"{name} is"):
            match_instances(f0, f1, **{name: value})
