"""Augmentation against a slow twin, one row at a time, pixel by pixel; and pixels to tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from itkm_core.corpus.random_keys import row_keys, uniforms
from itkm_core.corpus.transforms import Augmentation, augment, to_tensor

NOTHING = {"flip": 0.0, "pad": 0.0, "erase": 0.0}


def pictures(num: int = 40, height: int = 64, width: int = 32) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(1, 256, (num, height, width, 3), dtype=np.uint8)


def run(images: np.ndarray, seed: int = 0, free: bool = False, **options: Any) -> np.ndarray:
    keys = row_keys((seed,), len(images))
    return augment(images, keys, np.full(len(images), free), Augmentation(**options))


def naive(image: np.ndarray, key: int, free: bool, config: Augmentation) -> np.ndarray:
    height, width, _ = image.shape
    draw = uniforms(np.array([key], np.uint64), 46)[0]
    source = image.astype(float)
    if draw[0] < config.flip:
        source = np.stack([source[:, width - 1 - x] for x in range(width)], axis=1)
    pad = round(config.pad * height / 256)
    top, left = math.floor(draw[1] * (2 * pad + 1)), math.floor(draw[2] * (2 * pad + 1))
    out = np.pad(source, ((pad, pad), (pad, pad), (0, 0)))[top : top + height, left : left + width]
    mean = source.mean(axis=(0, 1)).round()
    if draw[4] < config.channel and not free:
        pick = int(draw[5] * 4)
        weights = np.eye(3)[pick] if pick < 3 else np.array([0.299, 0.587, 0.114])
        grey = (source @ weights).round()
        out = np.repeat((out @ weights).round()[:, :, None], 3, axis=2)
        mean = grey.mean().round()
    if draw[3] < config.erase:
        for attempt in range(10):
            a, b, c, d = draw[6 + 4 * attempt : 10 + 4 * attempt]
            (low, high), (flat, tall) = config.erase_area, config.erase_aspect
            area, aspect = (low + (high - low) * a) * height * width, flat + (tall - flat) * b
            h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < h < height and 0 < w < width:
                y, x = math.floor(c * (height - h + 1)), math.floor(d * (width - w + 1))
                out = out.copy()
                out[y : y + h, x : x + w] = mean
                break
    return out


@pytest.mark.parametrize("size", [(64, 32), (256, 128), (40, 40)])
@pytest.mark.parametrize("channel", [0.0, 0.6])
def test_every_row_is_as_the_twin_makes_it(size: tuple[int, int], channel: float) -> None:
    images = pictures(30, *size)
    config = Augmentation(channel=channel)
    keys = row_keys((4,), 30)
    free = np.arange(30) % 3 == 0
    made = augment(images, keys, free, config)
    assert made.dtype == np.uint8
    for row in range(30):
        expected = naive(images[row], int(keys[row]), bool(free[row]), config)
        # Rounding of a grey value may fall on either side.
        assert np.abs(made[row].astype(float) - expected).max() <= (1 if channel else 0)


def test_a_row_is_the_same_in_any_batch() -> None:
    images, keys = pictures(), row_keys((1,), 40)
    free = np.arange(40) % 2 == 0
    config = Augmentation(channel=0.5)
    whole = augment(images, keys, free, config)
    some = np.array([31, 2, 17])
    np.testing.assert_array_equal(
        augment(images[some], keys[some], free[some], config), whole[some]
    )
    np.testing.assert_array_equal(images, pictures())  # left as they were


def test_switched_off_it_changes_nothing() -> None:
    np.testing.assert_array_equal(run(pictures(), **NOTHING), pictures())


def test_flip_happens_half_of_the_time() -> None:
    images = pictures(2000, 4, 4)
    made = run(images, **{**NOTHING, "flip": 0.5})
    flipped = (made == images[:, :, ::-1]).all(axis=(1, 2, 3))
    kept = (made == images).all(axis=(1, 2, 3))
    assert (flipped ^ kept).all()
    assert abs(flipped.mean() - 0.5) < 0.06


@pytest.mark.parametrize(("height", "expected"), [(256, 10), (128, 5), (64, 2), (12, 0)])
def test_padding_scales_with_the_height(height: int, expected: int) -> None:
    assert Augmentation().padding(height) == expected


def test_crops_reach_every_offset() -> None:
    images = np.zeros((3000, 64, 32, 3), np.uint8)
    images[:, 30, 15] = 255
    made = run(images, **{**NOTHING, "pad": 10.0})
    spots = np.argwhere(made[..., 0] == 255)
    assert len(spots) == 3000
    assert {(y - 30, x - 15) for _, y, x in spots.tolist()} == {
        (y, x) for y in range(-2, 3) for x in range(-2, 3)
    }


def test_erasing_covers_the_configured_share() -> None:
    images = np.full((500, 64, 32, 3), 200, np.uint8)
    images[:, ::2] = 100
    made = run(images, **{**NOTHING, "erase": 1.0, "erase_area": (0.1, 0.2)})
    share = (made == 150).all(axis=3).mean(axis=(1, 2))
    assert (share > 0).all()
    assert share.min() > 0.08
    assert share.max() < 0.22
    untouched = run(images, **{**NOTHING, "erase": 0.3})
    assert abs((untouched == images).all(axis=(1, 2, 3)).mean() - 0.7) < 0.1


def test_an_image_without_colour_gets_none() -> None:
    grey = np.repeat(pictures()[..., :1], 3, axis=3)
    made = run(grey, free=True, channel=1.0)
    assert (made == made[..., :1]).all()


def test_channel_augmentation_leaves_colour_free_images_alone() -> None:
    images = pictures(200)
    free = run(images, free=True, **NOTHING, channel=1.0)
    np.testing.assert_array_equal(free, images)
    made = run(images, **NOTHING, channel=1.0)
    assert (made == made[..., :1]).all()
    kinds = [(made[..., 0] == images[..., c]).all(axis=(1, 2)).sum() for c in range(3)]
    assert all(25 < kind < 80 for kind in kinds)
    assert 25 < 200 - sum(kinds) < 80


def test_switching_one_thing_on_moves_no_other_draw() -> None:
    images = pictures()
    flips = run(images, **{**NOTHING, "flip": 0.5})
    both = run(images, **{**NOTHING, "flip": 0.5}, channel=1.0)
    planes = np.stack([flips[..., c] for c in range(3)])
    pure = (both[None, ..., 0] == planes).all(axis=(2, 3)).any(axis=0)
    assert pure.sum() > 20  # those that did not become a luminance


@pytest.mark.parametrize(
    "options",
    [
        {"flip": 1.5},
        {"erase_area": (0.5, 0.1)},
        {"erase_area": (0.1, 1.5)},
        {"erase_aspect": (0.0, 1.0)},
        {"rotate": 3},
    ],
)
def test_wrong_configurations(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Augmentation(**options)


def test_to_tensor_normalises_each_channel() -> None:
    images = pictures(3)
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.25, 0.5)
    made = to_tensor(images, mean, std)
    assert made.shape == (3, 3, 64, 32)
    assert made.dtype == torch.float32
    assert made.is_contiguous()
    expected = (images / 255.0 - np.array(mean)) / np.array(std)
    np.testing.assert_allclose(made.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-5)
