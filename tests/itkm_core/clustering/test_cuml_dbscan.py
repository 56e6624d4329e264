"""DBSCAN by cuML. Without a GPU its place is taken by scikit-learn's, which takes the same matrix."""

import sys
from importlib.machinery import ModuleSpec
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.cluster import DBSCAN

from itkm_core.clustering import LabelOptions, pseudo_label
from itkm_core.clustering.cuml_dbscan import cuml_dbscan, fits_device
from itkm_core.clustering.dbscan import dbscan
from itkm_core.clustering.pseudo_labels import jaccard_space
from itkm_core.errors import ConfigError
from itkm_core.neighbors.workers import Threads


class LikeCuml(DBSCAN):
    """cuML's keywords; the numbers of its clusters are its own business, so they are turned around."""

    def __init__(self, *, eps, min_samples, metric, output_type):
        super().__init__(eps=eps, min_samples=min_samples, metric=metric)
        self.output_type = output_type

    def fit(self, X):
        assert X.dtype == np.float32
        super().fit(X)
        found = self.labels_ >= 0
        self.labels_[found] = self.labels_.max() - self.labels_[found]
        self.core_sample_indices_ = self.core_sample_indices_[::-1]
        return self


@pytest.fixture(params=["stand-in", pytest.param("cuml", marks=pytest.mark.gpu)])
def cuml(request, monkeypatch):
    if request.param == "stand-in":
        package = SimpleNamespace(__spec__=ModuleSpec("cuml", None))
        monkeypatch.setitem(sys.modules, "cuml", package)
        monkeypatch.setitem(sys.modules, "cuml.cluster", SimpleNamespace(DBSCAN=LikeCuml))


@pytest.mark.parametrize("min_samples", [1, 2, 4, 7])
@pytest.mark.parametrize("eps", [0.3, 0.5, 0.6])
@pytest.mark.parametrize("noise", [0.4, 0.9])
def test_labels_are_those_of_the_sparse_graph(make, cuml, noise, eps, min_samples):
    rows = make.people(30, 8, 12, noise, 3)
    rows[50:80] = rows[
        7
    ]  # copies beyond k1 are one type, and each a cluster of its own where eps is small
    rows[200:203] = rows[100]
    space = jaccard_space(rows, LabelOptions(k1=10, k2=2, eps=0.6, min_samples=min_samples))
    expected = dbscan(space.graph, eps=eps, min_samples=min_samples)
    found = cuml_dbscan(space.graph, eps=eps, min_samples=min_samples)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.is_core, expected.is_core)


def test_it_is_used_where_it_fits_and_else_the_sparse_graph(make, cuml, monkeypatch):
    rows = make.people(20, 6, 12, 0.4, 3)
    asked = {"k1": 10, "k2": 2, "eps": 0.5}
    expected = pseudo_label(rows, **asked)
    assert pseudo_label(rows, dbscan="cuml", **asked).parameters["dbscan_used"] == "sparse"
    module = "itkm_core.clustering.pseudo_labels.fits_device"
    monkeypatch.setattr(module, lambda num, device: device == "cpu" and num == len(rows))
    found = pseudo_label(rows, dbscan="cuml", workers=Threads(1, "cpu"), **asked)
    assert found.parameters["dbscan_used"] == "cuml"
    np.testing.assert_array_equal(found.labels, expected.labels)
    with pytest.raises(ConfigError, match="dbscan is 'dense'"):
        pseudo_label(rows, dbscan="dense", **asked)


def test_a_device_without_cuml_is_refused_before_any_work(make, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="cuML is not installed: install itkm"):
        jaccard_space(
            make.people(5, 4, 8, 0.4, 3),
            LabelOptions(k1=4, k2=2, eps=0.5, backend="torch", dbscan="cuml"),
            workers=Threads(1, "cpu"),
        )


def test_the_matrix_must_fit_the_device_and_the_machine(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr("itkm_core.clustering.cuml_dbscan.free_memory", lambda: 400)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (600, 10**6))
    assert fits_device(10, "cuda")
    assert not fits_device(11, "cuda:0")
    assert not fits_device(1, "cpu")
    assert not fits_device(1, None)
    monkeypatch.setattr("itkm_core.clustering.cuml_dbscan.free_memory", lambda: 399)
    assert not fits_device(10, "cuda")
