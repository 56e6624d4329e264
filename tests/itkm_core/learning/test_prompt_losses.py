"""The losses of Stage II against loops over images, clusters and pairs: values and gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from itkm_core.learning.prompt_losses import image_to_text, separation, text_to_image

LABELS = torch.tensor([2, 0, 1, 2, 2, 0])
SCALE = 7.0


def vectors(count: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(count, 8, generator=generator, dtype=torch.float64)
    return F.normalize(rows, dim=1).to(dtype)


def naive_image_to_text(images: Tensor, texts: Tensor) -> Tensor:
    losses = []
    for u, label in zip(images, LABELS.tolist(), strict=True):
        shares = [torch.exp(SCALE * (u @ t)) for t in texts]
        losses.append(-torch.log(shares[label] / sum(shares)))
    return torch.stack(losses)


def naive_text_to_image(images: Tensor, texts: Tensor) -> Tensor:
    losses = []
    for cluster, t in enumerate(texts):
        shares = [torch.exp(SCALE * (t @ u)) for u in images]
        own = [i for i, label in enumerate(LABELS.tolist()) if label == cluster]
        losses.append(-sum(torch.log(shares[i] / sum(shares)) for i in own) / len(own))
    return torch.stack(losses)


def compare(found: Callable[[Tensor], Tensor], naive: Callable[[Tensor], Tensor]) -> None:
    fast, slow = (vectors(3, 1, d).requires_grad_() for d in (torch.float32, torch.float64))
    value, expected = found(fast), naive(slow)
    torch.testing.assert_close(value.double(), expected, rtol=1e-4, atol=1e-6)
    weights = torch.linspace(1, 2, value.numel()).reshape(value.shape)
    (gradient,) = torch.autograd.grad((value * weights).sum(), fast)
    (wanted,) = torch.autograd.grad((expected * weights.double()).sum(), slow)
    assert wanted.abs().max() > 1e-3
    torch.testing.assert_close(gradient.double(), wanted, rtol=1e-4, atol=1e-5)


def test_image_to_text() -> None:
    compare(
        lambda texts: image_to_text(vectors(6, 0), LABELS, texts, SCALE),
        lambda texts: naive_image_to_text(vectors(6, 0, torch.float64), texts),
    )


def test_text_to_image() -> None:
    compare(
        lambda texts: text_to_image(vectors(6, 0), LABELS, texts, SCALE),
        lambda texts: naive_text_to_image(vectors(6, 0, torch.float64), texts),
    )


@pytest.mark.parametrize("margin", [-0.3, 0.0, 0.2])
def test_separation(margin: float) -> None:
    scenarios = torch.tensor([0, 1, 0, 2, 1])

    def naive(texts: Tensor) -> Tensor:
        terms = [
            (texts[a] @ texts[b] - margin).clamp(min=0)
            for a in range(5)
            for b in range(5)
            if scenarios[a] != scenarios[b]
        ]
        return torch.stack(terms).mean()

    def found(texts: Tensor) -> Tensor:
        loss = separation(texts, scenarios, margin)
        assert loss is not None
        return loss

    fast, slow = (vectors(5, 3, d).requires_grad_() for d in (torch.float32, torch.float64))
    value, expected = found(fast), naive(slow)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert value > 0
    gradients = torch.autograd.grad(value, fast)[0], torch.autograd.grad(expected, slow)[0]
    torch.testing.assert_close(gradients[0].double(), gradients[1], rtol=1e-4, atol=1e-6)


def test_one_scenario_has_no_separation() -> None:
    assert separation(vectors(4, 0), torch.full((4,), 2), 0.2) is None
    assert separation(vectors(1, 0), torch.zeros(1, dtype=torch.int64), 0.2) is None


def test_one_cluster_is_always_the_right_one() -> None:
    images, text = vectors(3, 0), vectors(1, 1)
    labels = torch.zeros(3, dtype=torch.int64)
    assert image_to_text(images, labels, text, SCALE).tolist() == [0.0, 0.0, 0.0]
    assert text_to_image(images, labels, text, SCALE).item() > 0


def test_losses_are_float32_under_autocast() -> None:
    images, texts = vectors(6, 0), vectors(3, 1)
    expected = image_to_text(images, LABELS, texts, 100.0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(image_to_text(images, LABELS, texts, 100.0), expected)
        assert text_to_image(images, LABELS, texts, 100.0).dtype == torch.float32
        apart = separation(texts, torch.arange(3), 0.0)
    assert apart is not None
    assert apart.dtype == torch.float32
