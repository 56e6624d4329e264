from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from itkm_core.corpus.clothes_view import (
    FADE,
    GAIN,
    LEGS,
    SHIFT,
    SIDES,
    TORSO,
    other_clothes,
    regions,
    view_keys,
)
from itkm_core.corpus.random_keys import row_keys, uniforms


def noise(num: int, height: int = 24, width: int = 12) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num, height, width, 3), dtype=np.uint8)


def one_by_one(image: np.ndarray, key: np.uint64) -> np.ndarray:
    """The twin: a pixel at a time, in float64."""
    height, width, _ = image.shape
    draws = uniforms(np.array([key]), 14)[0]
    out = image.astype(float)
    for region, ends in enumerate((TORSO, LEGS)):
        which, *rest = draws[7 * region : 7 * region + 7]
        order = list(permutations(range(3)))[1 + int(which * 5)]
        for y in range(height):
            for x in range(width):
                share = 1.0
                for place, size, (low, high) in ((y, height, ends), (x, width, SIDES)):
                    at = (place + 0.5) / size
                    share *= min(1.0, max(0.0, min(at - low, high - at) / FADE))
                dyed = []
                for channel in range(3):
                    gain = GAIN[0] + (GAIN[1] - GAIN[0]) * rest[channel]
                    shift = SHIFT[0] + (SHIFT[1] - SHIFT[0]) * rest[3 + channel]
                    value = out[y, x, order[channel]] * gain + shift
                    dyed.append(min(255.0, max(0.0, value)))
                out[y, x] = (1 - share) * out[y, x] + share * np.array(dyed)
    return out


def test_a_view_is_that_of_its_twin() -> None:
    images, keys = noise(7), row_keys((3,), 7)
    for view, image, key in zip(other_clothes(images, keys), images, keys, strict=True):
        assert np.abs(view - one_by_one(image, key)).max() <= 0.51


def test_a_row_depends_on_its_own_pixels_and_key_only() -> None:
    images, keys = noise(9), row_keys((3,), 9)
    views, order = other_clothes(images, keys), np.random.default_rng(1).permutation(9)
    assert np.array_equal(other_clothes(images[order], keys[order]), views[order])
    assert np.array_equal(images, noise(9))
    assert other_clothes(images[:0], keys[:0]).shape == (0, 24, 12, 3)


def test_clothes_change_and_nothing_else_does() -> None:
    images = np.broadcast_to(np.array([200, 60, 20], np.uint8), (40, 256, 128, 3))
    views = other_clothes(images, row_keys((3,), 40))
    masks = np.zeros((2, 256, 128), np.float32)
    for whole, (rows, columns, part) in zip(masks, regions(256, 128), strict=True):
        whole[rows, columns] = part[:, :, 0]
    outside = (masks == 0).all(axis=0)
    assert (views[:, outside] == images[:, outside]).all()
    assert outside[:40].all(), "the head"
    for mask in masks:
        moved = np.abs(views[:, mask == 1].astype(int) - images[:, mask == 1]).max(axis=2)
        assert (moved.min(axis=1) > 10).all(), "every view has other colours"
    assert masks.sum(axis=0)[60:225, 24:104].min() > 0.5, "no gap in between"


@pytest.mark.parametrize("size", [(8, 4), (16, 8), (64, 32), (33, 17)])
def test_any_size_has_both_regions(size: tuple[int, int]) -> None:
    assert all(mask.max() > 0.3 for _, _, mask in regions(*size))


def test_keys_are_a_round_s_and_an_image_s_own() -> None:
    ids = np.array([5, 0, 7], np.int64)
    keys = view_keys(1, 2, ids)
    assert keys[0] == view_keys(1, 2, ids[:1])[0]
    every = {int(key) for seed in (0, 1) for round in (0, 1) for key in view_keys(seed, round, ids)}
    assert len(every) == 12
