"""The clusters of a batch, however its rows are ordered."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from itkm_core.corpus.sampling import BatchPlan
from itkm_core.learning.prompt_batch import BatchClusters, prompt_losses

# (block, scenario, cluster) of every row; block 2 is not in the batch.
ROWS = [(1, 0, 4), (0, 0, 2), (3, 5, 0), (1, 0, 4), (0, 0, 0), (1, 0, 1), (0, 0, 2)]
OFFSETS = np.array([0, 3, 8, 9, 10])


def make_plan() -> BatchPlan:
    block, scenario, label = np.array(ROWS).T
    zeros = np.zeros(len(ROWS), np.int64)
    return BatchPlan(zeros, scenario, zeros, label, block, zeros.astype(np.uint64), 0, 0, 4)


def test_every_image_finds_its_cluster() -> None:
    clusters = BatchClusters.of_plan(make_plan(), OFFSETS)
    assert clusters.rows.tolist() == [0, 2, 4, 7, 9]
    assert clusters.blocks.tolist() == [0, 0, 1, 1, 3]
    assert clusters.scenarios.tolist() == [0, 0, 0, 0, 5]
    for (block, _, label), place in zip(ROWS, clusters.index, strict=True):
        assert clusters.rows[place] == OFFSETS[block] + label


def test_blocks_weigh_the_same_and_absent_ones_nothing() -> None:
    torch.manual_seed(0)
    images, texts = F.normalize(torch.randn(7, 6), dim=1), F.normalize(torch.randn(5, 6), dim=1)
    clusters = BatchClusters.of_plan(make_plan(), OFFSETS)
    found = prompt_losses(images, texts, clusters, scale=5.0, separation_margin=-1.0)
    blocks = []
    for rows, own in (([1, 4, 6], [0, 1]), ([0, 3, 5], [2, 3]), ([2], [4])):
        losses = []
        for i in rows:
            scores = 5.0 * texts[own] @ images[i]
            losses.append(scores.logsumexp(0) - scores[own.index(int(clusters.index[i]))])
        blocks.append(torch.stack(losses).mean())
    assert found["image_to_text"].item() == pytest.approx(torch.stack(blocks).mean().item())
    cosines = texts[:4] @ texts[4]
    assert found["separation"].item() == pytest.approx((cosines + 1).mean().item(), rel=1e-5)
    without = prompt_losses(images, texts, clusters, scale=5.0, separation_margin=None)
    assert set(without) == {"image_to_text", "text_to_image"}
