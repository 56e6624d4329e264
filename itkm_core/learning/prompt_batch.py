"""The clusters of a planned batch, and the terms of Stage II's loss over them.

docs/definition.md, "Stage II". Shapes: B images and C clusters of a batch, D dimensions.
A block is one (scenario, group).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from itkm_core.corpus.sampling import BatchPlan
from itkm_core.learning.prompt_losses import image_to_text, separation, text_to_image

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class BatchClusters:
    """The distinct clusters of a batch, sorted by block and number.

    Attributes:
        rows: int64 [C], their rows in the table of all blocks' clusters.
        blocks, scenarios: int64 [C].
        index: int64 [B], which of them each image belongs to.
    """

    rows: Ints
    blocks: Ints
    scenarios: Ints
    index: Ints

    @classmethod
    def of_plan(cls, plan: BatchPlan, offsets: Ints) -> BatchClusters:
        """The clusters of a plan; `offsets` int64 [blocks + 1] are the first rows of the blocks."""
        rows, first, index = np.unique(
            offsets[plan.block] + plan.labels, return_index=True, return_inverse=True
        )
        return cls(rows, plan.block[first], plan.scenarios[first], index)


def prompt_losses(
    images: Tensor,
    texts: Tensor,
    clusters: BatchClusters,
    *,
    scale: float,
    separation_margin: float | None,
) -> dict[str, Tensor]:
    """The terms of the loss, scalars, without their weights.

    Args:
        images: [B, D], unit rows, frozen.
        texts: [C, D], unit rows; gradients flow into them.
        clusters: of the texts.
        scale: the inverse of the temperature.
        separation_margin: None leaves out the separation.

    Returns:
        `image_to_text` and `text_to_image`: the mean over the blocks of their mean over images and
        over clusters. `separation`: if wanted and the clusters are of two scenarios or more.
    """
    to_text, to_image = [], []
    image_blocks = clusters.blocks[clusters.index]
    for block in np.unique(clusters.blocks):
        start, stop = np.searchsorted(clusters.blocks, [block, block + 1]).tolist()
        members = np.flatnonzero(image_blocks == block)
        labels = torch.from_numpy(clusters.index[members] - start).to(texts.device)
        rows = images[torch.from_numpy(members).to(texts.device)]
        to_text.append(image_to_text(rows, labels, texts[start:stop], scale).mean())
        to_image.append(text_to_image(rows, labels, texts[start:stop], scale).mean())
    terms = {
        "image_to_text": torch.stack(to_text).mean(),
        "text_to_image": torch.stack(to_image).mean(),
    }
    if separation_margin is not None:
        apart = separation(texts, torch.from_numpy(clusters.scenarios), separation_margin)
        if apart is not None:
            terms["separation"] = apart
    return terms
