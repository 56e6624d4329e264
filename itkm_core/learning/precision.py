"""The arithmetic of a training step's forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def forward_in(precision: str, device: torch.device) -> Iterator[None]:
    """Autocast to bfloat16 where precision is "bf16"; "fp32" changes nothing."""
    with ExitStack() as stack:
        if precision == "bf16":
            stack.enter_context(torch.autocast(device.type, torch.bfloat16))
            if device.type == "cpu":
                # The backward pass of PyTorch's fused attention is slow in bfloat16 on a CPU: 45 % of a
                # step of the tiny CLIP, which takes 1.7 times as long as with plain matrix products.
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield
