"""The losses against their formulas written out, values and gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from itkm_core.learning.losses import cluster_nce, match_nce


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


def naive_match(
    features: Tensor, candidates: Tensor, positives: list[list[int]], temperature: float
) -> Tensor:
    losses = []
    for v, links in zip(features, positives, strict=True):
        scores = [torch.exp((v * b).sum() / temperature) for b in candidates]
        loss = (v * 0).sum()
        for j in links:
            loss = loss - torch.log(scores[j] / torch.stack(scores).sum()) / len(links)
        losses.append(loss)
    return torch.stack(losses)


def csr(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    indices = np.array([index for row in rows for index in row], np.int64)
    return np.cumsum([0, *map(len, rows)]), indices


@pytest.mark.parametrize("temperature", [0.05, 0.5])
@pytest.mark.parametrize(
    ("num_candidates", "positives"),
    [
        (9, [[3], [0, 8], [], [1, 2, 3, 4, 5], [], [7, 6]]),
        (9, [[], [], [], [], [], []]),
        (1, [[0], [], [0], [0], [], [0]]),
        (2, [[0, 1], [1, 0], [0], [1], [], []]),
    ],
)
def test_match_values_and_gradients(
    num_candidates: int, positives: list[list[int]], temperature: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    candidates = F.normalize(torch.randn(num_candidates, 5, generator=generator), dim=1)
    weights = torch.rand(6, generator=generator)
    features = raw.clone().requires_grad_()
    values = match_nce(F.normalize(features, dim=1), candidates, *csr(positives), temperature)
    (values * weights).sum().backward()
    twin = raw.clone().requires_grad_()
    unit = F.normalize(twin, dim=1)
    expected = naive_match(unit, candidates.double(), positives, temperature)
    (expected * weights).sum().backward()
    assert values.shape == (6,)
    torch.testing.assert_close(values.double(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features.grad, twin.grad, rtol=1e-4, atol=1e-5)
    empty = [number for number, links in enumerate(positives) if not links]
    assert not values[empty].any()
    assert features.grad is not None
    assert not features.grad[empty].any()


def test_one_positive_is_the_cluster_loss() -> None:
    features, centroids = (
        F.normalize(torch.randn(4, 8), dim=1),
        F.normalize(torch.randn(6, 8), dim=1),
    )
    labels = torch.tensor([5, 0, 0, 2])
    torch.testing.assert_close(
        match_nce(features, centroids, np.arange(5), labels.numpy(), 0.05),
        cluster_nce(features, labels, centroids, 0.05),
    )


def test_the_order_of_candidates_does_not_matter() -> None:
    features, candidates = (
        F.normalize(torch.randn(3, 8), dim=1),
        F.normalize(torch.randn(7, 8), dim=1),
    )
    indptr, indices = csr([[1, 4], [], [6, 0, 2]])
    order = np.random.default_rng(0).permutation(7)
    torch.testing.assert_close(
        match_nce(features, candidates[order], indptr, np.argsort(order)[indices], 0.05),
        match_nce(features, candidates, indptr, indices, 0.05),
    )


def test_match_is_finite_and_float32_under_autocast_and_leaves_candidates_alone() -> None:
    candidates = torch.eye(4).requires_grad_()
    features = torch.eye(4)[:2].requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = match_nce(features, candidates, *csr([[1], []]), 0.01)
    assert loss.dtype == torch.float32
    assert loss.tolist() == pytest.approx([100, 0], abs=1e-3)
    loss.sum().backward()
    assert features.grad is not None
    assert candidates.grad is None
