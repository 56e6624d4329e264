from __future__ import annotations

import threading

import made
import numpy as np
import pytest
import torch

from itkm_core.corpus.images import BadImage, decode_image
from itkm_core.corpus.loader import BatchLoader
from itkm_core.corpus.sampling import GroupLabels, plan_step
from itkm_core.corpus.transforms import Augmentation, augment, to_tensor

SIZE, MEAN, STD = (16, 8), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)


class Pictures:
    """A store of noise pictures that remembers who asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.lock = threading.Lock()

    def images(self, sample_ids: np.ndarray) -> list[bytes]:
        with self.lock:
            self.asked.append(list(map(int, sample_ids)))
        return [encoded(int(sample)) for sample in sample_ids]


def encoded(sample: int) -> bytes:
    pixels = np.random.default_rng(sample).integers(0, 256, (20, 10, 3), dtype=np.uint8)
    return made.encoded(pixels)


AUGMENTATIONS = [Augmentation(channel=0.7), Augmentation(flip=0.9, erase=0)]


def plans(steps: int):
    rng = np.random.default_rng(0)
    groups = [
        GroupLabels(0, group, np.arange(60) + 100 * group, rng.integers(0, 9, 60))
        for group in (0, 1)
    ]
    options = {"clusters_per_group": 7, "images_per_cluster": 3, "seed": 3, "round": 1}
    return [plan_step(groups, step=step, **options) for step in range(steps)]


def loader(store: Pictures, threads: int = 3) -> BatchLoader:
    return BatchLoader(store, SIZE, MEAN, STD, AUGMENTATIONS, frozenset({1}), threads)


def one_by_one(plan) -> torch.Tensor:
    """The twin: every row alone, no threads, no chunks."""
    rows = []
    for row in range(len(plan)):
        pixels = decode_image(encoded(int(plan.sample_ids[row])), SIZE)[None]
        colour_free = np.array([plan.block[row] == 1])
        own = AUGMENTATIONS[plan.block[row]]
        pixels = augment(pixels, plan.keys[row : row + 1], colour_free, own)
        rows.append(to_tensor(pixels, MEAN, STD))
    return torch.cat(rows)


def test_batches_come_in_order_and_equal_the_rows_one_by_one() -> None:
    wanted = plans(4)
    got = list(loader(Pictures()).iterate(wanted))
    assert [plan.step for plan, _ in got] == [0, 1, 2, 3]
    for plan, images in got:
        torch.testing.assert_close(images, one_by_one(plan), rtol=0, atol=0)


def test_a_row_looks_the_same_in_any_slice() -> None:
    (plan,) = plans(1)
    whole = loader(Pictures()).load(plan)
    parts = [loader(Pictures()).load(plan.slice(rank, 4)) for rank in range(4)]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=0)


def test_only_one_batch_is_loaded_ahead() -> None:
    store = Pictures()
    stream = loader(store).iterate(iter(plans(6)))
    next(stream)
    stream.close()
    assert len({tuple(ids) for ids in store.asked}) <= 2 * 2  # two batches of two chunks


def test_a_bad_picture_reaches_the_caller() -> None:
    class Broken(Pictures):
        def images(self, sample_ids: np.ndarray) -> list[bytes]:
            return [b"not a picture" for _ in sample_ids]

    with pytest.raises(BadImage):
        list(loader(Broken()).iterate(plans(2)))
