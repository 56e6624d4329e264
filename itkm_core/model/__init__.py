"""CLIP, the image encoder made from it, and its weights file.

Names are handed on when they are asked for, so that reading a configuration does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from itkm_core.model.clip import LoadedClip, build_clip, load_clip
    from itkm_core.model.image_encoder import ImageEncoder
    from itkm_core.model.text_encoder import TextEncoder
    from itkm_core.model.weights import (
        EncoderInfo,
        encoder_bytes,
        load_encoder,
        make_encoder,
        read_info,
    )

__all__ = [
    "EncoderInfo",
    "ImageEncoder",
    "LoadedClip",
    "TextEncoder",
    "build_clip",
    "encoder_bytes",
    "load_clip",
    "load_encoder",
    "make_encoder",
    "read_info",
]

_HOMES = {
    "clip": ("LoadedClip", "build_clip", "load_clip"),
    "image_encoder": ("ImageEncoder",),
    "text_encoder": ("TextEncoder",),
    "weights": ("EncoderInfo", "encoder_bytes", "load_encoder", "make_encoder", "read_info"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
