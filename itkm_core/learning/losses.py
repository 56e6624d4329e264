"""The losses of the method, per image; the trainer averages them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


def cluster_nce(features: Tensor, labels: Tensor, centroids: Tensor, temperature: float) -> Tensor:
    """-log( exp(v . m_y / tau) / sum_k exp(v . m_k / tau) ).

    With the block's memory it is L_homo, with the text representations T of its clusters L_text
    (docs/definition.md, "L_homo" and "L_text").

    Args:
        features: [B, D], unit rows; gradients flow into them.
        labels: int64 [B], 0 .. K-1.
        centroids: float32 [K, D], unit rows; a constant.
        temperature: tau > 0.

    Returns:
        float32 [B], also under autocast.
    """
    with torch.autocast(features.device.type, enabled=False):
        return F.cross_entropy(_logits(features, centroids, temperature), labels, reduction="none")


def match_nce(
    features: Tensor,
    candidates: Tensor,
    indptr: NDArray[np.int64],
    indices: NDArray[np.int64],
    temperature: float,
) -> Tensor:
    """-1/|P_i| sum_{j in P_i} log( exp(v_i . b_j / tau) / sum_n exp(v_i . b_n / tau) ).

    With rows of the opposite block's instance bank as candidates it is L_ihm, with the opposite
    memory L_chm (docs/definition.md, "L_ihm" and "L_chm"). A cluster of the smaller side may have
    several partners; the mean over them is taken, as over instances [ours]. An image
    with no positive has loss and gradient 0.

    Args:
        features: [B, D], unit rows; gradients flow into them.
        candidates: float32 [C, D], unit rows; a constant.
        indptr, indices: int64 [B + 1] and [indptr[-1]], on the CPU; P_i are the distinct rows
            `indices[indptr[i]:indptr[i + 1]]` of the candidates.
        temperature: tau > 0.

    Returns:
        float32 [B], also under autocast.
    """
    sizes = np.diff(indptr)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    shares = np.repeat((1.0 / np.maximum(sizes, 1)).astype(np.float32), sizes)
    device = features.device
    places = tuple(torch.from_numpy(part).to(device) for part in (rows, indices))
    # Dense: one fused pass, and no sum whose order differs between runs on a GPU.
    targets = torch.zeros(len(features), len(candidates), device=device)
    targets[places] = torch.from_numpy(shares).to(device)
    with torch.autocast(device.type, enabled=False):
        return F.cross_entropy(
            _logits(features, candidates, temperature), targets, reduction="none"
        )


def _logits(features: Tensor, candidates: Tensor, temperature: float) -> Tensor:
    return features.float() @ candidates.detach().T / temperature
