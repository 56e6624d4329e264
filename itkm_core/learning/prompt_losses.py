"""Losses of Stage II (docs/definition.md, "Stage II"). The trainer averages over blocks.

Those between images and texts are of the first stage of CLIP-ReID (Li et al., AAAI 2023).

Shapes: b images and c clusters of one (scenario, group) in a batch, C clusters of the whole batch,
D dimensions; all vectors are unit rows and all losses float32, also under autocast.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def image_to_text(images: Tensor, labels: Tensor, texts: Tensor, scale: float) -> Tensor:
    """L_i2t = -log( exp(s u.T_y) / sum_c exp(s u.T_c) ), CLIP-ReID.

    The sum runs over the batch's clusters, each once [ours]: over the batch's images, as the paper
    writes it, it is the same but for a constant where every cluster has as many images.

    Args:
        images: [b, D], frozen.
        labels: int64 [b], rows of `texts`.
        texts: [c, D]; gradients flow into them.
        scale: s, the inverse of the temperature.

    Returns:
        [b], per image.
    """
    return F.cross_entropy(_logits(images, texts, scale), labels, reduction="none")


def text_to_image(images: Tensor, labels: Tensor, texts: Tensor, scale: float) -> Tensor:
    """L_t2i = -1/|P| sum_{p in P} log( exp(s T.u_p) / sum_a exp(s T.u_a) ), CLIP-ReID.

    P: the batch's images of the cluster; a: all images of the batch.

    Args:
        images, labels, texts, scale: as for `image_to_text`; every cluster has an image.

    Returns:
        [c], per cluster.
    """
    log_shares = F.log_softmax(_logits(images, texts, scale), dim=0)
    own = log_shares.gather(1, labels[:, None]).squeeze(1)
    sums = own.new_zeros(len(texts)).index_add(0, labels, own)
    return -sums / torch.bincount(labels, minlength=len(texts))


def separation(texts: Tensor, scenarios: Tensor, margin: float) -> Tensor | None:
    """L_sep = mean over pairs of other scenarios of max(0, cos(T_a, T_b) - m). [ours]

    Args:
        texts: [C, D]; gradients flow into them.
        scenarios: int64 [C], best left on the CPU, where looking at them stalls no device.
        margin: m; texts further apart than that are left alone.

    Returns:
        A scalar, or None where all are of one scenario.
    """
    apart = scenarios[:, None] != scenarios[None]
    if not bool(apart.any()):
        return None
    with torch.autocast(texts.device.type, enabled=False):
        return F.relu(texts.float() @ texts.float().T - margin)[apart.to(texts.device)].mean()


def _logits(images: Tensor, texts: Tensor, scale: float) -> Tensor:
    with torch.autocast(texts.device.type, enabled=False):
        return scale * images.float() @ texts.float().T
