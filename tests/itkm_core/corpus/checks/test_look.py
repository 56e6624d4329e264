from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from made import encoded
from PIL import Image, ImageFilter

from itkm_core.corpus.checks.look import LOOK_SCHEMA, look, look_row, sharpness
from itkm_core.corpus.digest import image_digest
from itkm_core.corpus.images import BadImage


def naive_lost(line: list[float]) -> tuple[float, float]:
    """(what a blur takes away, all) of the differences of neighbours on one line of pixels."""
    taps = (1, 4, 6, 4, 1)
    blurred = [sum(w * line[i + k] for k, w in enumerate(taps)) / 16 for i in range(len(line) - 4)]
    lost = total = 0.0
    for i in range(len(blurred) - 1):
        before, after = abs(line[i + 3] - line[i + 2]), abs(blurred[i + 1] - blurred[i])
        lost, total = lost + max(0.0, before - after), total + before
    return lost, total


def naive_sharpness(picture: np.ndarray) -> float:
    shares = []
    for lines in (picture, picture.T):
        sums = np.sum([naive_lost(line) for line in lines.astype(float).tolist()], axis=0)
        shares.append(sums[0] / sums[1])
    return min(shares)


@pytest.mark.parametrize("size", [(6, 6), (16, 8), (31, 17)])
def test_sharpness_is_that_of_its_definition(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, size).astype(np.float32)
    assert sharpness(picture) == pytest.approx(naive_sharpness(picture), rel=1e-5)


def test_blur_lowers_it_and_contrast_and_brightness_do_not_change_it() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 32), np.uint8))
    pictures = [noise, *(noise.filter(ImageFilter.GaussianBlur(r)) for r in (0.7, 1.5, 3))]
    arrays = [np.asarray(each, np.float32) for each in pictures]
    values = [sharpness(each) for each in arrays]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.6 > 0.2 > values[-1]
    assert sharpness(arrays[1] * 0.25 + 40) == pytest.approx(values[1], rel=1e-4)


@pytest.mark.parametrize("picture", [np.zeros((20, 10)), np.eye(5, 40), np.eye(40, 5)])
def test_nothing_is_known_of_the_sharpness_of_nothing(picture: np.ndarray) -> None:
    assert np.isnan(sharpness(picture.astype(np.float32)))


def test_a_look_is_of_the_luminance() -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (64, 32), np.uint8)
    seen = look(encoded(np.repeat(grey[:, :, None], 3, axis=2)))
    blocks = grey.reshape(32, 2, 16, 2).mean(axis=(1, 3))
    assert np.abs(seen.thumb - blocks).max() <= 1
    assert seen.mean == pytest.approx(grey.mean())
    assert seen.spread == pytest.approx(blocks.std(), abs=0.5)
    assert seen.sharpness == pytest.approx(naive_sharpness(grey), rel=1e-5)
    red = look(encoded(np.full((40, 20, 3), (255, 0, 0), np.uint8)))
    assert (red.mean, red.spread) == (76, 0)


def test_a_row_fits_the_schema() -> None:
    data = encoded(np.random.default_rng(0).integers(0, 256, (300, 90, 3), np.uint8))
    row = pa.Table.from_pylist([look_row(5, data)], schema=LOOK_SCHEMA).to_pylist()[0]
    assert (row["sample_id"], row["digest"]) == (5, image_digest(data))
    assert row["thumb"] == look(data).thumb.tobytes()
    with pytest.raises(BadImage, match="unreadable"):
        look_row(5, b"no picture")
