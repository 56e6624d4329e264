"""What a picture is like at a glance: a thumbnail of its brightness and a few numbers, without any model. [ours]"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from itkm_core.corpus.digest import DIGEST_BYTES, image_digest
from itkm_core.corpus.images import Encoded, decode_whole

THUMB = (32, 16)
"""Height and width of a thumbnail."""

SEEN_HEIGHT = 128
"""Sharpness is that of the picture shrunk to at most so many rows, which is about what an encoder sees."""

LOOK_SCHEMA = pa.schema(
    [
        ("sample_id", pa.int64()),
        ("digest", pa.binary(DIGEST_BYTES)),
        ("thumb", pa.binary(THUMB[0] * THUMB[1])),
        ("mean", pa.float64()),
        ("spread", pa.float64()),
        ("sharpness", pa.float64()),
    ]
)
"""A row a picture: the digest of its bytes, and what `look` says of it. About 560 bytes."""


class Look(NamedTuple):
    """A picture at a glance.

    thumb: uint8 [32, 16], the luminance averaged over equal parts of the picture, whatever its shape.
    mean: of the luminance, 0 to 255.
    spread: standard deviation of the thumbnail, in which noise has averaged out; about 0 for a picture of nothing.
    sharpness: see `sharpness`.
    """

    thumb: NDArray[np.uint8]
    mean: float
    spread: float
    sharpness: float


def look_row(sample_id: int, data: Encoded) -> dict[str, Any]:
    """The row of LOOK_SCHEMA of a picture. Raises BadImage as `decode_whole`."""
    seen = look(data)
    named = {"sample_id": sample_id, "digest": image_digest(data), "thumb": seen.thumb.tobytes()}
    return {**seen._asdict(), **named}


def look(data: Encoded) -> Look:
    """Decode a picture and look at it. Raises BadImage as `decode_whole`."""
    picture = Image.fromarray(decode_whole(data)).convert("L")
    thumb = np.asarray(picture.resize(THUMB[::-1], Image.Resampling.BOX))
    mean = float(np.asarray(picture).mean())
    if picture.height > SEEN_HEIGHT:
        width = max(1, round(picture.width * SEEN_HEIGHT / picture.height))
        picture = picture.resize((width, SEEN_HEIGHT), Image.Resampling.BICUBIC)
    return Look(thumb, mean, float(thumb.std()), sharpness(np.asarray(picture, np.float32)))


def sharpness(luminance: NDArray[np.float32]) -> float:
    """The share of the differences between neighbouring pixels that a small blur takes away.

    After Crete et al., "The Blur Effect" (SPIE 6492, 2007): blurring changes a sharp picture much and a blurred one
    little, whatever its contrast. The lower of the two directions counts, as motion blurs one. Here the blur is
    binomial, of 5 pixels: crops of low resolution are hardly larger than the 9 of the paper. [ours]

    Args:
        luminance: [height, width].

    Returns:
        0 (blurred) to 1; NaN for a picture of fewer than 6 pixels along one of its sides, or of one colour.
    """
    return float(np.minimum(_lost(luminance), _lost(luminance.T)))


def _lost(rows: NDArray[np.float32]) -> float:
    if len(rows) < 6:
        return float("nan")
    blurred = (rows[:-4] + 4 * rows[1:-3] + 6 * rows[2:-2] + 4 * rows[3:-1] + rows[4:]) / 16
    before, after = (np.abs(np.diff(each, axis=0)) for each in (rows[2:-2], blurred))
    total = float(before.sum())
    return float(np.maximum(before - after, 0).sum()) / total if total else float("nan")
