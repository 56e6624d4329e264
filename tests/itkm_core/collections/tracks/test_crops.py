from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from itkm_core.collections.tracks.crops import cut, pixel_boxes
from itkm_core.collections.tracks.frames import Picture


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ((10, 20, 30, 40), [10, 20, 40, 60]),
        ((10.4, 19.6, 30, 40.2), [10, 20, 40, 60]),
        ((-5, -5, 30, 40), [0, 0, 25, 35]),
        ((90, 40, 30, 40), [90, 40, 100, 80]),
        ((-10, -10, 500, 500), [0, 0, 100, 80]),
        ((99, 79, 1, 1), [99, 79, 100, 80]),
        ((100, 0, 10, 10), [0, 0, 0, 0]),
        ((-10, 0, 10, 10), [0, 0, 0, 0]),
        ((0, 80, 10, 10), [0, 0, 0, 0]),
        ((10, 10, 0, 10), [0, 0, 0, 0]),
        ((10, 10, 10, -4), [0, 0, 0, 0]),
        ((10.1, 10, 0.3, 10), [0, 0, 0, 0]),
        ((np.nan, 10, 10, 10), [0, 0, 0, 0]),
        ((10, 10, 10, np.nan), [0, 0, 0, 0]),
        ((10, 10, np.inf, 10), [0, 0, 0, 0]),
        ((-np.inf, 10, np.inf, 10), [0, 0, 0, 0]),
        ((1e308, 10, 1e308, 10), [0, 0, 0, 0]),
    ],
)
def test_pixels_of_a_box(box, pixels) -> None:
    assert pixel_boxes(np.array([box], float), 100, 80).tolist() == [pixels]


def test_crops_are_what_is_in_the_boxes() -> None:
    frame = np.zeros((60, 80, 3), np.uint8)
    frame[11:32, 7:20] = (200, 30, 30)
    inside, outside = cut(Picture.of(frame), [(7, 11, 20, 32), (30, 0, 31, 60)], 95)
    for data, size, colour in ((inside, (13, 21), (200, 30, 30)), (outside, (1, 60), (0, 0, 0))):
        with Image.open(io.BytesIO(data)) as image:
            assert (image.format, image.size) == ("JPEG", size)
            assert np.abs(np.asarray(image).astype(int) - colour).max() <= 3
    assert len(cut(Picture.of(frame), [(0, 0, 80, 60)], 20)[0]) < len(
        cut(Picture.of(frame), [(0, 0, 80, 60)], 95)[0]
    )
