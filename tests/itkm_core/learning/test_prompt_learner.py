"""The table of learnt tokens, and the texts made from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from itkm_core.errors import LabelError
from itkm_core.learning.config import PromptConfig
from itkm_core.learning.prompt_learner import PromptLearner, offline_text
from itkm_core.model.clip import LoadedClip, load_clip

BLOCKS = [3, 1, 6]


@pytest.fixture(scope="module")
def clip() -> LoadedClip:
    return load_clip("itkm-tiny")


def make(clip: LoadedClip, seed: int = 0, **changes: object) -> PromptLearner:
    return PromptLearner.from_clip(clip, BLOCKS, PromptConfig(**changes), seed=seed)  # type: ignore[arg-type]


def test_one_row_of_tokens_for_every_cluster(clip: LoadedClip) -> None:
    learner = make(clip)
    assert learner.offsets.tolist() == [0, 3, 4, 10]
    assert learner.tokens.shape == (10, 4, 64)
    assert learner.tokens.dtype == torch.float32
    assert learner.tokens.std().item() == pytest.approx(0.02, rel=0.1)
    assert abs(learner.tokens.mean().item()) < 2e-3
    assert make(clip, tokens=2, init_std=0).tokens.abs().max() == 0
    assert make(clip, tokens=2).tokens.shape == (10, 2, 64)


def test_a_seed_decides_the_start(clip: LoadedClip) -> None:
    torch.manual_seed(5)
    first = make(clip).tokens
    assert torch.equal(first, make(clip).tokens)
    assert not torch.equal(first, make(clip, seed=1).tokens)


@pytest.mark.parametrize("at_once", [1, 3, 1024])
def test_offline_texts_are_those_of_every_cluster_alone(clip: LoadedClip, at_once: int) -> None:
    learner = make(clip)
    texts = offline_text(learner, at_once=at_once)
    assert [len(block) for block in texts] == BLOCKS
    rows = np.concatenate(texts)
    assert rows.dtype == np.float32
    for row, tokens in zip(rows, learner.tokens, strict=True):
        alone = learner.encode(tokens[None])[0].numpy()
        np.testing.assert_allclose(row, alone, atol=1e-6)
    assert len(np.unique(rows.round(4), axis=0)) == 10


def test_offline_texts_in_bf16(clip: LoadedClip) -> None:
    learner = make(clip)
    full, half = (np.concatenate(offline_text(learner, precision=p)) for p in ("fp32", "bf16"))
    assert 0.98 < (full * half).sum(1).min() < 1 - 1e-7


@pytest.mark.parametrize("blocks", [[], [3, 0]])
def test_blocks_without_clusters(clip: LoadedClip, blocks: list[int]) -> None:
    with pytest.raises(LabelError, match="at least one cluster"):
        PromptLearner.from_clip(clip, blocks, PromptConfig(), seed=0)
