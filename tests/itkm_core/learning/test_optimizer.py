"""Which parameters decay, and the learning rate over a run."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from itkm_core.learning.config import HomogeneousConfig
from itkm_core.learning.optimizer import learning_rate, make_optimizer
from itkm_core.model.clip import build_clip
from itkm_core.model.image_encoder import ImageEncoder

SCHEDULE = HomogeneousConfig(lr=2.0, warmup_steps=4, min_lr_ratio=0.1)


def test_only_matrices_decay() -> None:
    encoder = ImageEncoder.from_open_clip(
        build_clip("itkm-tiny"), num_scenarios=2, image_size=(64, 32)
    )
    optimizer = make_optimizer(encoder, lr=1.0, weight_decay=0.5)
    names = {id(parameter): name for name, parameter in encoder.named_parameters()}
    decays = {
        names[id(parameter)]: group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert set(decays) == set(names.values())
    block = "transformer.resblocks.0."
    for name in ("attn.in_proj_weight", "attn.out_proj.weight", "mlp.c_fc.weight"):
        assert decays[block + name] == 0.5
    for name in ("proj", "patch_embeddings.0.weight", "patch_embeddings.1.weight"):
        assert decays[name] == 0.5
    for name in ("attn.in_proj_bias", "ln_1.weight", "ln_1.bias", "mlp.c_fc.bias"):
        assert decays[block + name] == 0.0
    for name in ("class_embedding", "positional_embedding", "scenario_embedding", "ln_post.bias"):
        assert decays[name] == 0.0


def test_frozen_parameters_stay_out() -> None:
    layer = torch.nn.Linear(2, 2)
    layer.weight.requires_grad_(False)
    optimizer = make_optimizer(layer, lr=1.0, weight_decay=0.5)
    assert [len(group["params"]) for group in optimizer.param_groups] == [1]


def test_schedule() -> None:
    rates = [learning_rate(step, 24, SCHEDULE) for step in range(30)]
    assert rates[:5] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert all(a > b for a, b in pairwise(rates[4:24]))
    assert rates[23] == pytest.approx(0.2)
    assert rates[24:] == pytest.approx([0.2] * 6)
    middle = (rates[13] + rates[14]) / 2
    assert middle == pytest.approx(1.1, abs=0.01)


@pytest.mark.parametrize("total", [1, 4, 5])
def test_short_runs(total: int) -> None:
    for step in range(8):
        rate = learning_rate(step, total, SCHEDULE)
        assert 0 < rate <= 2.0
