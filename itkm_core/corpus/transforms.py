"""Augmentation of training crops from each row's own key; and pixels to the model's input.

docs/definition.md, "Augmentation": horizontal flip, pad and random crop, random erasing (Zhong et al., AAAI 2020);
random channel augmentation (Ye et al., ICCV 2021) as an option for visible images. [ours:
everything left of these]

Shapes: B images of h x w pixels, RGB, uint8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from itkm_core.corpus.random_keys import Keys, uniforms

if TYPE_CHECKING:
    import torch

Pixels = NDArray[np.uint8]

_ERASE_ATTEMPTS = 10
_ERASE_DRAWS = 4  # area, aspect, top, left
_REFERENCE_HEIGHT = 256  # the literature's crop height, which `pad` refers to
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


class Augmentation(BaseModel):
    """How training crops are augmented. What is drawn for a row does not depend on which of these are on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flip: float = Field(0.5, ge=0, le=1, description="probability of a horizontal flip")
    pad: float = Field(
        10,
        ge=0,
        le=128,
        description="black border before the random crop, pixels at image height 256",
    )
    erase: float = Field(0.5, ge=0, le=1, description="probability of random erasing")
    erase_area: tuple[float, float] = Field((0.02, 0.4), description="share of the image erased")
    erase_aspect: tuple[float, float] = Field((0.3, 1 / 0.3), description="height / width erased")
    channel: float = Field(
        0.0,
        ge=0,
        le=1,
        description="probability of random channel augmentation, visible images only",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Augmentation:
        for name, upper in (("erase_area", 1.0), ("erase_aspect", float("inf"))):
            low, high = getattr(self, name)
            if not 0 < low <= high <= upper:
                raise ValueError(f"{name} is ({low}, {high}): expected 0 < low <= high <= {upper}")
        return self

    def padding(self, height: int) -> int:
        """Border in pixels for images of this height: `pad` scaled, rounded half to even."""
        return round(self.pad * height / _REFERENCE_HEIGHT)


def augment(
    images: Pixels, keys: Keys, colour_free: NDArray[np.bool_], config: Augmentation
) -> Pixels:
    """Augment a batch; row i depends on its own pixels, key and `colour_free` only.

    Args:
        images: uint8 [B, h, w, 3], left as they are.
        keys: uint64 [B], see `BatchPlan.keys`.
        colour_free: bool [B], images whose colour carries no information (infrared): channel augmentation
            leaves them alone.

    Returns:
        uint8 [B, h, w, 3]. The border is black; an erased region takes the image's mean colour
        [ours], so an image without colour gets none.
    """
    num, height, width, _ = images.shape
    pad = config.padding(height)
    draws = uniforms(keys, 6 + _ERASE_ATTEMPTS * _ERASE_DRAWS)
    flips = draws[:, 0] < config.flip
    tops = (draws[:, 1] * (2 * pad + 1)).astype(int) - pad
    lefts = (draws[:, 2] * (2 * pad + 1)).astype(int) - pad
    boxes = _erase_boxes(draws[:, 6:], height, width, config)
    boxes[draws[:, 3] >= config.erase] = 0
    channels = np.where((draws[:, 4] < config.channel) & ~colour_free, draws[:, 5] * 4, -1)
    out = np.zeros_like(images)
    for row in range(num):
        top, left = tops[row], lefts[row]
        source = images[row, :, ::-1] if flips[row] else images[row]
        target = out[row]
        target[max(0, -top) : height - max(0, top), max(0, -left) : width - max(0, left)] = source[
            max(0, top) : height - max(0, -top), max(0, left) : width - max(0, -left)
        ]
        if channels[row] >= 0:
            target[:] = _one_channel(target, int(channels[row]))
        y, x, box_height, box_width = boxes[row]
        if box_height:
            target[y : y + box_height, x : x + box_width] = (
                source.reshape(-1, 3).mean(axis=0).round()
                if channels[row] < 0
                else _one_channel(source, int(channels[row])).mean().round()
            )
    return out


def to_tensor(
    images: Pixels, mean: Sequence[float], std: Sequence[float], device: str | torch.device = "cpu"
) -> torch.Tensor:
    """Pixels to the model's input: (x / 255 - mean) / std, computed on the device.

    Args:
        images: uint8 [B, h, w, 3].
        mean, std: per RGB channel in [0, 1], see `LoadedClip`.

    Returns:
        float32 [B, 3, h, w], contiguous.
    """
    import torch

    pixels = torch.from_numpy(images).to(device, non_blocking=True)
    scale = 1.0 / (255.0 * torch.tensor(std, dtype=torch.float32, device=pixels.device))
    shift = torch.tensor(mean, dtype=torch.float32, device=pixels.device) * 255.0 * scale
    planes = pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    return planes.mul_(scale.view(3, 1, 1)).sub_(shift.view(3, 1, 1))


def _one_channel(image: Pixels, which: int) -> NDArray[np.uint8]:
    """[h, w, 1]: the red, green or blue plane (0, 1, 2) or the luminance (3)."""
    if which < 3:
        return image[:, :, which : which + 1]
    return (image @ _LUMA).round().astype(np.uint8)[:, :, None]


def _erase_boxes(
    draws: NDArray[np.float64], height: int, width: int, config: Augmentation
) -> NDArray[np.int64]:
    """int64 [B, 4]: top, left, height, width of the first attempt that fits, zeros if none."""
    attempts = draws.reshape(len(draws), _ERASE_ATTEMPTS, _ERASE_DRAWS)
    area_low, area_high = config.erase_area
    aspect_low, aspect_high = config.erase_aspect
    area = (area_low + (area_high - area_low) * attempts[..., 0]) * height * width
    aspect = aspect_low + (aspect_high - aspect_low) * attempts[..., 1]
    heights = np.rint(np.sqrt(area * aspect)).astype(np.int64)
    widths = np.rint(np.sqrt(area / aspect)).astype(np.int64)
    fits = (heights < height) & (widths < width) & (heights > 0) & (widths > 0)
    tops = (attempts[..., 2] * (height - heights + 1)).astype(np.int64)
    lefts = (attempts[..., 3] * (width - widths + 1)).astype(np.int64)
    boxes = np.stack([tops, lefts, heights, widths], axis=-1)
    first = fits.argmax(axis=1)
    return np.where(np.any(fits, axis=1, keepdims=True), boxes[np.arange(len(boxes)), first], 0)
