"""The embedded CLIP `itkm-tiny`: its architecture, as an open_clip configuration. [ours]

It is a real open_clip model, small enough to ship inside the package and to run a demonstration on
two processor cores: a vision transformer for 64 x 32 crops (8 x 4 patches of 8 pixels, 4 layers,
width 128, 0.8 M parameters) and a narrow text tower over CLIP's own byte-pair vocabulary. Its
weights are made by `python -m itkm_core.model.train_tiny`.
"""

from __future__ import annotations

import copy
from typing import Any

TINY_NAME = "itkm-tiny"
"""The name under which a configuration asks for the embedded model."""

TINY_CONFIG: dict[str, Any] = {
    "embed_dim": 64,
    "vision_cfg": {
        "image_size": (64, 32),
        "patch_size": 8,
        "layers": 4,
        "width": 128,
        "head_width": 32,
        "mlp_ratio": 4.0,
    },
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 64,
        "heads": 4,
        "layers": 4,
    },
}
"""Keyword arguments of `open_clip.CLIP` (sizes in pixels, height before width)."""

TINY_MEAN = (0.5, 0.5, 0.5)
"""Subtracted from RGB in [0, 1] before the model sees it."""

TINY_STD = (0.25, 0.25, 0.25)
"""Divides what `TINY_MEAN` leaves."""


def build_tiny_clip() -> Any:
    """Build an untrained `itkm-tiny`.

    Returns:
        An `open_clip.CLIP` in float32 on the CPU. Its initial weights come from torch's global
        generator: the same `torch.manual_seed` gives the same model.
    """
    import open_clip  # here, so that reading the configuration does not import torch

    return open_clip.CLIP(**copy.deepcopy(TINY_CONFIG))
