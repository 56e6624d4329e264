"""AdamW and its learning rate over a run."""

from __future__ import annotations

import math

from torch import nn
from torch.optim import AdamW

from itkm_core.learning.config import HomogeneousConfig, PromptConfig


def make_optimizer(model: nn.Module, *, lr: float, weight_decay: float) -> AdamW:
    """AdamW that decays matrices only: no biases, norms, or class, position, scenario embeddings.

    A patch embedding is a convolution and decays as matrices do.
    """
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_embedding = name.split(".")[-1].endswith("_embedding")
        (kept if parameter.ndim <= 1 or is_embedding else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return AdamW([group for group in groups if group["params"]], lr=lr, fused=True)


def learning_rate(step: int, total_steps: int, config: HomogeneousConfig | PromptConfig) -> float:
    """Linear warm-up, then half a cosine down to `min_lr_ratio` times lr, from the step alone.

    Args:
        step: optimizer steps taken so far, from 0.
        total_steps: planned for the whole run, all rounds; later steps keep the last rate.
        config: for its lr, warmup_steps and min_lr_ratio.
    """
    lr, warmup_steps, last = config.lr, config.warmup_steps, config.min_lr_ratio
    if step < warmup_steps:
        return lr * (step + 1) / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - 1 - warmup_steps))
    return lr * (last + (1 - last) * 0.5 * (1 + math.cos(math.pi * progress)))
