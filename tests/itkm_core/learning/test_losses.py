"""ClusterNCE against the formula written out, values and gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from itkm_core.learning.losses import cluster_nce


def naive(features: Tensor, labels: Tensor, centroids: Tensor, temperature: float) -> Tensor:
    losses = []
    for v, y in zip(features, labels.tolist(), strict=True):
        scores = [torch.exp((v * m).sum() / temperature) for m in centroids]
        losses.append(-torch.log(scores[y] / torch.stack(scores).sum()))
    return torch.stack(losses)


@pytest.mark.parametrize("num_clusters", [1, 2, 9])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_values_and_gradients(num_clusters: int, temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    centroids = F.normalize(torch.randn(num_clusters, 5, generator=generator), dim=1)
    labels = torch.arange(7) % num_clusters
    weights = torch.rand(7, generator=generator)
    results = []
    for loss in (cluster_nce, naive):
        features = raw.clone().requires_grad_()
        unit = F.normalize(features, dim=1)
        memory = centroids if loss is cluster_nce else centroids.double()
        values = loss(unit, labels, memory, temperature)
        (values * weights).sum().backward()
        results.append((values.detach().double(), features.grad))
    assert results[0][0].shape == (7,)
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-5)


def test_a_perfect_image_among_orthogonal_clusters() -> None:
    centroids = torch.eye(4)
    loss = cluster_nce(centroids[:1], torch.tensor([0]), centroids, 0.05)
    expected = math.log(1 + 3 * math.exp(-20))
    assert loss.item() == pytest.approx(expected, abs=1e-7)


def test_far_from_the_right_cluster_it_is_finite_and_float32_under_autocast() -> None:
    centroids = torch.eye(4).requires_grad_()
    features = torch.eye(4)[:1].requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = cluster_nce(features, torch.tensor([1]), centroids, 0.01)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(100, abs=1e-3)
    loss.sum().backward()
    assert features.grad is not None
    assert centroids.grad is None
