"""The cluster memory against a loop over the images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stage_problem import unit
from torch import Tensor
from torch.nn import functional as F

from itkm_core.errors import LabelError
from itkm_core.learning.memory import ClusterMemory


def update_one_by_one(
    centroids: Tensor, features: Tensor, labels: np.ndarray, momentum: float
) -> Tensor:
    centroids = centroids.clone()
    for feature, label in zip(features, labels.tolist(), strict=True):
        moved = momentum * centroids[label] + (1.0 - momentum) * feature
        centroids[label] = F.normalize(moved[None], dim=1)[0]
    return centroids


@given(
    labels=st.lists(st.integers(0, 6), max_size=60),
    momentum=st.sampled_from([0.0, 0.2, 0.9, 1.0]),
    dimension=st.sampled_from([3, 16, 512]),
)
def test_update_is_the_loop_bit_for_bit(labels: list[int], momentum: float, dimension: int) -> None:
    number = np.array(labels, np.int64)
    features = unit(len(labels), 1, dimension)
    memory = ClusterMemory(unit(7, dimension=dimension))
    expected = update_one_by_one(memory.centroids, features, number, momentum)
    memory.update(features, number, momentum)
    assert torch.equal(memory.centroids, expected)


def test_order_within_a_cluster_matters_and_between_clusters_does_not() -> None:
    features, labels = unit(4, seed=1), np.array([0, 1, 0, 1])
    results = []
    for order in ([0, 1, 2, 3], [1, 0, 3, 2], [2, 1, 0, 3]):
        memory = ClusterMemory(unit(2))
        memory.update(features[order], labels[order], 0.2)
        results.append(memory.centroids)
    assert torch.equal(results[0], results[1])
    assert not torch.allclose(results[0], results[2])


def test_update_is_float32_also_under_autocast_and_keeps_no_graph() -> None:
    features = unit(5).requires_grad_()
    plain, cast = ClusterMemory(unit(3)), ClusterMemory(unit(3))
    labels = np.array([0, 2, 2, 1, 0])
    plain.update(features, labels, 0.2)
    with torch.autocast("cpu", torch.bfloat16):
        cast.update(features, labels, 0.2)
    assert plain.centroids.dtype == torch.float32
    assert not plain.centroids.requires_grad
    assert torch.equal(plain.centroids, cast.centroids)


def test_a_memory_owns_its_centroids() -> None:
    start = unit(3)
    before = start.clone()
    ClusterMemory(start).update(unit(1, seed=2), np.array([1]), 0.2)
    assert torch.equal(start, before)


def test_no_cluster_makes_no_memory() -> None:
    with pytest.raises(LabelError, match="without gaps"):
        ClusterMemory(torch.zeros(0, 16))
