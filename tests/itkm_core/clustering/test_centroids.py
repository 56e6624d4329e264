import numpy as np
import pytest
from made import unit

from itkm_core.clustering import centroids
from itkm_core.clustering.centroids import cluster_means
from itkm_core.errors import FeatureError, LabelError


def rows(number):
    return unit(np.random.default_rng(1).standard_normal((number, 16))).astype(np.float32)


@pytest.mark.parametrize("rows_at_once", [65_536, 7])
def test_they_are_the_normalised_means_without_outliers(rows_at_once, monkeypatch):
    monkeypatch.setattr(centroids, "_ROWS_AT_ONCE", rows_at_once)
    features, labels = rows(50), np.random.default_rng(0).integers(-1, 5, 50)
    found = cluster_means(features, labels)
    assert (found.dtype, found.shape) == (np.float32, (5, 16))
    for cluster in range(5):
        mean = features.astype(np.float64)[labels == cluster].mean(0)
        np.testing.assert_allclose(found[cluster], mean / np.linalg.norm(mean), atol=1e-6)
    # Float64 sums in order of the rows: every process that holds the same features has the same means, bit for bit.
    monkeypatch.setattr(centroids, "_ROWS_AT_ONCE", 11)
    np.testing.assert_array_equal(cluster_means(features, labels), found)


def test_only_outliers_have_no_mean():
    assert cluster_means(rows(3), np.full(3, -1)).shape == (0, 16)


def test_numbers_with_gaps_are_refused():
    with pytest.raises(LabelError, match="without gaps"):
        cluster_means(rows(3), np.array([0, 0, 2]))


def test_one_feature_per_label():
    with pytest.raises(FeatureError, match="expected"):
        cluster_means(rows(3), np.array([0, 1]))
