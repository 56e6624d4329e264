"""A picture in low resolution: fewer pixels, kept without loss.

The factors are those of the MLR collections (Jiao et al., "Deep Low-Resolution Person Re-Identification", AAAI 2018:
2, 3 or 4). Pixels are interpolated bicubically with antialiasing, as pictures are resized everywhere else. [ours]
"""

from __future__ import annotations

import io

from PIL import Image

from itkm_core.corpus.digest import image_digest
from itkm_core.corpus.images import Encoded, decode_whole

FACTORS = (2, 3, 4)
_BMP_HEAD = 14 + 40  # file header, picture header


def shrink(data: Encoded, factor: int) -> bytes:
    """An encoded picture with 1/`factor` of its height and width, as an upright, uncompressed RGB picture (BMP).

    Raises:
        BadImage: see `decode_image`.
    """
    image = Image.fromarray(decode_whole(data))
    height, width = shrunk_shape(image.height, image.width, factor)
    buffer = io.BytesIO()
    image.resize((width, height), Image.Resampling.BICUBIC).save(buffer, "BMP")
    return buffer.getvalue()


def shrunk_shape(height: int, width: int, factor: int) -> tuple[int, int]:
    """(height, width) in pixels that `shrink` gives: rounded down, at least 1."""
    return max(1, height // factor), max(1, width // factor)


def shrunk_size(height: int, width: int) -> int:
    """How many bytes `shrink` gives for a picture that it makes this large."""
    return _BMP_HEAD + height * -(-width * 3 // 4) * 4


def shrunk_digest(digest: bytes, factor: int) -> bytes:
    """The digest of a picture of `digest` that is kept as `shrink` with this factor; 0: kept as found."""
    return image_digest(digest + b"shrink" + bytes([factor])) if factor else digest
