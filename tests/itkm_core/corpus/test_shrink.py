from __future__ import annotations

import made
import numpy as np
import pytest
from PIL import Image

from itkm_core.corpus.images import decode_image, decode_whole
from itkm_core.corpus.shrink import FACTORS, shrink, shrunk_digest, shrunk_shape, shrunk_size


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("shape", [(128, 64), (31, 17), (3, 2)])
def test_a_picture_is_brought_down_without_further_loss(factor: int, shape) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    small = shrink(made.encoded(pixels), factor)
    height, width = shrunk_shape(*shape, factor)
    assert (height, width) == (max(1, shape[0] // factor), max(1, shape[1] // factor))
    assert len(small) == shrunk_size(height, width)
    # The loader resizes to a size in the same way, and leaves what has that size alone.
    expected = decode_image(made.encoded(pixels), (height, width))
    assert np.array_equal(decode_whole(small), expected)


def test_grey_becomes_three_equal_channels_and_pictures_are_turned_upright() -> None:
    grey = Image.fromarray(np.arange(32, dtype=np.uint8).reshape(8, 4))
    exif = Image.Exif()
    exif[274] = 6
    small = decode_whole(shrink(made.encoded(grey, "JPEG", exif=exif), 2))
    assert small.shape == (2, 4, 3)
    assert (small == small[:, :, :1]).all()


def test_a_digest_names_the_factor_too() -> None:
    digests = {shrunk_digest(b"x" * 16, factor) for factor in (0, *FACTORS)}
    assert b"x" * 16 in digests
    assert len(digests) == 4
