import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itkm_core.errors import ConfigError, FeatureError
from itkm_core.neighbors import lists, search
from itkm_core.neighbors.nearest import nearest_across

BACKENDS = ["faiss-flat", "torch"]


def twin(queries, rows, k):
    """Every cosine in float64, every row sorted whole."""
    similarity = np.stack([(rows.astype(float) * q).sum(axis=1) for q in queries.astype(float)])
    order = [np.lexsort((np.arange(len(rows)), -line))[:k] for line in similarity]
    return np.array(order), np.take_along_axis(similarity, np.array(order), 1)


def coarse(rng, num_rows, dimension):
    # Components that are powers of two: sums are exact, so ties are exact in any order of addition.
    return (rng.choice([-1, 1], (num_rows, dimension)) / np.sqrt(dimension)).astype(np.float32)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("k", [1, 5, 130])
def test_lists_are_the_twins(make, backend, k):
    rows, queries = make.awkward["random"], make.people(40, 2, 16, 0.8, 3)
    found = nearest_across(queries, rows, k, backend=backend)
    expected, similarity = twin(queries, rows, k)
    np.testing.assert_array_equal(found.indices, expected)
    np.testing.assert_allclose(found.similarities, similarity, atol=1e-6)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 50), st.integers(1, 50), st.integers(1, 50))
def test_copies_and_ties_are_in_order_of_rows(seed, num_queries, num_rows, k):
    rng = np.random.default_rng(seed)
    rows, queries = coarse(rng, num_rows, 4), coarse(rng, num_queries, 4)
    k = min(k, num_rows)
    found = nearest_across(queries, rows, k)
    np.testing.assert_array_equal(found.indices, twin(queries, rows, k)[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_blocks_and_threads_change_nothing(make, backend, monkeypatch):
    rows, queries = make.people(40, 4, 12, 0.7, 1), make.people(31, 5, 12, 0.7, 2)
    expected = twin(queries, rows, 9)[0]
    monkeypatch.setattr(search, "BLOCK_ROWS", 37)
    for threads in (1, 3):
        found = nearest_across(queries, rows, 9, backend=backend, num_threads=threads)
        np.testing.assert_array_equal(found.indices, expected)


def test_ties_that_overflow_the_margin_are_searched_again(make, monkeypatch):
    ring = make.unit(np.random.default_rng(0).standard_normal((120, 6)))
    rows = np.c_[np.full(120, 0.6), 0.8 * ring].astype(np.float32)
    queries = np.eye(1, 7, dtype=np.float32)
    again = []
    original = lists._search_again
    monkeypatch.setattr(
        lists, "_search_again", lambda *a: (again.append(len(a[1])), original(*a))[1]
    )
    np.testing.assert_array_equal(
        nearest_across(queries, rows, 10).indices, twin(queries, rows, 10)[0]
    )
    assert again == [1]


def test_no_query_gives_no_list(make):
    found = nearest_across(np.zeros((0, 8), np.float32), make.people(3, 2, 8, 0.5, 0), 4)
    assert found.indices.shape == found.similarities.shape == (0, 4)


def test_what_cannot_be_searched_is_refused(make):
    rows = make.people(5, 2, 8, 0.5, 0)
    with pytest.raises(FeatureError, match="7 columns and features 8"):
        nearest_across(make.people(5, 2, 7, 0.5, 0), rows, 1)
    for k in (0, 11, True, 1.0):
        with pytest.raises(ConfigError, match="k is"):
            nearest_across(rows, rows, k)
    with pytest.raises(FeatureError, match="unit norm"):
        nearest_across(2 * rows, rows, 1)
