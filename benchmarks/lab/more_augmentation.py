"""Augmentations that were tried and are no options: docs/method.md has what each did. Shapes: B images of h x w pixels.

Each takes pixels uint8 [B, h, w, 3], draws in [0, 1) [B, DRAWS] and the rows' keys, and changes the pixels in place.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from itkm_core.corpus.clothes_view import other_clothes
from itkm_core.corpus.random_keys import uniforms

Array = np.ndarray

DRAWS = 16
_OWN_KEYS = np.uint64(0xC107)  # draws other than those of itkm_core.corpus.transforms


def augment_more(
    images: Array, keys: Array, colour_free: Array, options: Mapping[str, float]
) -> None:
    """options: `clothes`, `shrink`, `mix`: with this probability torso and legs have other colours, two to four times
    fewer pixels, or a grey of mixed channels; `gain`: each channel is scaled by up to 1 +- this (infrared as one)."""
    own = keys ^ _OWN_KEYS
    draws = uniforms(own, DRAWS)
    wear = (draws[:, 0] < options.get("clothes", 0)) & ~colour_free
    if wear.any():
        images[wear] = other_clothes(images[wear], own[wear])
    for row in np.flatnonzero(draws[:, 1] < options.get("shrink", 0)):
        images[row] = _shrunk(images[row], 2 + 2 * draws[row, 2])
    gain = options.get("gain", 0)
    if gain:
        scales = 1 + gain * (2 * draws[:, 3:6] - 1)
        scales[colour_free] = scales[colour_free, :1]
        scaled = images * scales[:, None, None, :].astype(np.float32)
        images[:] = scaled.clip(0, 255).round()
    for row in np.flatnonzero((draws[:, 6] < options.get("mix", 0)) & ~colour_free):
        images[row] = _mixed(images[row], draws[row, 7:10])


def _shrunk(image: Array, factor: float) -> Array:
    height, width = image.shape[:2]
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    less = Image.fromarray(image).resize(small, Image.Resampling.BOX)
    return np.asarray(less.resize((width, height), Image.Resampling.BICUBIC))


def _mixed(image: Array, draws: Array) -> Array:
    """[h, w, 1]: w . rgb for random signed weights, scaled so that black to white covers the range."""
    weights = 2 * draws - 1
    weights /= max(np.abs(weights).sum(), 1e-6)
    grey = image @ weights.astype(np.float32) - 255 * np.minimum(weights, 0).sum()
    return grey.clip(0, 255).round()[:, :, None]
