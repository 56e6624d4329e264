"""The encoding and the pairs by torch are those of the processor's loops."""

import numpy as np
import pytest

from itkm_core.clustering import device as module
from itkm_core.clustering import pseudo_label
from itkm_core.clustering.device import encode_on_device
from itkm_core.clustering.encoding import encode
from itkm_core.clustering.jaccard import graph_of
from itkm_core.neighbors.nearest import nearest
from itkm_core.neighbors.workers import Threads

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def dense(rows):
    array = np.zeros((len(rows), len(rows)))
    row, column = rows.columns.rows, rows.columns.indices
    assert (np.diff(column)[np.diff(row) == 0] > 0).all()
    array[row, column] = rows.values
    if rows.order is None:
        return array
    images = np.zeros_like(array)
    images[np.ix_(rows.order, rows.order)] = array
    return images


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("entries", [1, 5000, 1 << 25])
@pytest.mark.parametrize(
    ("name", "k1", "k2"),
    [
        ("random", 9, 3),
        ("random", 12, 1),
        ("copies of every image", 7, 2),
        ("copies of one image", 10, 4),
        ("all equal", 6, 2),
        ("one-hot", 5, 5),
        ("coarse grid", 8, 3),
        ("collapsed", 11, 2),
        ("two dimensions", 1, 1),
    ],
)
def test_rows_and_graph_are_the_same(make, monkeypatch, device, entries, name, k1, k2):
    monkeypatch.setattr(module, "BLOCK_ENTRIES", entries)
    rows = make.awkward[name]
    lists = nearest(rows, k1).indices
    expected, found = encode(rows, lists, k2, Threads(1)), encode_on_device(rows, lists, k2, device)
    np.testing.assert_allclose(dense(found), dense(expected), atol=1e-14)
    assert found.order is None
    # From the same rows of V the graph is the same to the last bit: sums run in the same order.
    graph, twin = graph_of(found, 0.6, Threads(1, device)), graph_of(found, 0.6, Threads(1))
    for found, expected in zip((*graph.pairs, *graph[2:4]), (*twin.pairs, *twin[2:4]), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("noise", [0.4, 0.8])
def test_labels_are_the_same(make, device, noise):
    rows = make.people(60, 9, 16, noise, 1)
    rows[100:140] = rows[7]
    asked = {"k1": 12, "k2": 3, "eps": 0.55}
    expected = pseudo_label(rows, **asked)
    found = pseudo_label(rows, workers=Threads(2, device), **asked)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.is_core, expected.is_core)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-6)
    assert found.num_clusters > 20
