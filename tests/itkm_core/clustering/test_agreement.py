import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score

from itkm_core.clustering import agreement
from itkm_core.errors import LabelError


def singletons(labels):
    labels = np.asarray(labels)
    return np.where(labels < 0, 10**6 + np.arange(len(labels)), labels)


@settings(max_examples=100)
@given(st.integers(0, 10**6), st.integers(2, 120), st.integers(1, 30), st.integers(1, 30))
def test_it_is_scikit_learns_with_outliers_as_singletons(seed, num, num_a, num_b):
    rng = np.random.default_rng(seed)
    a = rng.integers(-1, num_a, num)
    b = np.where(rng.random(num) < 0.5, a, rng.integers(-1, num_b, num))
    expected = adjusted_mutual_info_score(singletons(a), singletons(b))
    if min(len(set(singletons(a))), len(set(singletons(b)))) > 1:  # else 0 / 0, see below
        assert agreement(a, b) == pytest.approx(expected, abs=1e-8)
    assert agreement(a, b) == pytest.approx(agreement(b, a), abs=1e-12)


def test_the_same_partition_under_other_numbers():
    assert agreement([0, 0, 1, 1, -1], [7, 7, 3, 3, -1]) == 1
    assert agreement([-1, -1, -1], [-1, -1, -1]) == 1
    assert agreement([0, 0, 0], [5, 5, 5]) == 1
    assert agreement([], []) == 1


def test_unrelated_partitions():
    rng = np.random.default_rng(0)
    assert abs(agreement(rng.integers(0, 40, 4000), rng.integers(0, 40, 4000))) < 0.02
    assert agreement([0, 0, 0], [-1, -1, -1]) == 0
    assert agreement([0, 0, 0, 0], [0, 0, 1, 1]) == pytest.approx(0, abs=1e-12)


def test_an_image_that_leaves_its_cluster_lowers_it():
    a = np.repeat(np.arange(20), 10)
    b = a.copy()
    b[::10] = -1
    c = b.copy()
    c[1::10] = -1
    assert 1 > agreement(a, b) > agreement(a, c) > 0.5


def test_many_outliers_are_cheap():
    rng = np.random.default_rng(0)
    a = np.arange(200_000) // 16
    b = np.where(rng.random(len(a)) < 0.3, -1, a)
    assert 0.5 < agreement(a, b) < 1


def test_other_lengths_and_types_are_refused():
    with pytest.raises(LabelError, match="3 and 2"):
        agreement([0, 0, 1], [0, 1])
    with pytest.raises(LabelError, match="expected integers"):
        agreement([0.5, 1.0], [0, 1])
