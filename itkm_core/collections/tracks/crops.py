"""Boxes in pixels, and crops as JPEG."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from itkm_core.collections.tracks.frames import Picture


def pixel_boxes(box: np.ndarray, width: int, height: int) -> np.ndarray:
    """int32 [N, 4]: left, top, right and bottom in pixels, right and bottom not included, clipped to the frame.

    A box without a pixel (no numbers, no size, wholly beside the frame) becomes four zeros. box: float64 [N, 4], left,
    top, width, height; edges are rounded to the nearest pixel.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        edges = np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1)
    usable = np.isfinite(edges).all(axis=1)
    edges = np.where(usable[:, None], edges, 0)
    pixels = np.rint(np.clip(edges, 0, [width, height, width, height])).astype(np.int32)
    empty = (pixels[:, 2:] <= pixels[:, :2]).any(axis=1)
    return np.where(empty[:, None], 0, pixels).astype(np.int32)


def cut(picture: Picture, boxes: Sequence[Sequence[int]], quality: int) -> list[bytes]:
    """The JPEGs of `boxes` (left, top, right, bottom) of a frame."""
    crops = []
    for left, top, right, bottom in boxes:
        file = io.BytesIO()
        Image.fromarray(picture.part(left, top, right, bottom)).save(file, "JPEG", quality=quality)
        crops.append(file.getvalue())
    return crops
