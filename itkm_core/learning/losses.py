"""Losses of the method, each per image: how images are averaged is the trainer's business."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def cluster_nce(features: Tensor, labels: Tensor, centroids: Tensor, temperature: float) -> Tensor:
    """L_homo = -log( exp(v . m_y / tau) / sum_k exp(v . m_k / tau) ), METHOD "Stage I".

    Args:
        features: [B, D], unit rows; gradients flow into them.
        labels: int64 [B], 0 .. K-1.
        centroids: float32 [K, D], unit rows; a constant.
        temperature: tau > 0.

    Returns:
        float32 [B], also under autocast.
    """
    with torch.autocast(features.device.type, enabled=False):
        logits = features.float() @ centroids.detach().T / temperature
        return F.cross_entropy(logits, labels, reduction="none")
