"""A plan's images as a batch of tensors: read from the store, decoded and augmented one batch ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from itkm_core.corpus.clothes_view import other_clothes, view_keys
from itkm_core.corpus.images import decode_image
from itkm_core.corpus.sampling import BatchPlan
from itkm_core.corpus.store import CorpusStore
from itkm_core.corpus.transforms import Augmentation, augment, to_tensor

if TYPE_CHECKING:
    import torch

_CHUNK = 32  # images a decoding thread takes at a time: enough to make the handover negligible


@dataclass(frozen=True)
class BatchLoader:
    """Loads the rows of a plan. What a row looks like depends on its sample id and key only.

    image_size: (height, width) in pixels. mean, std: per RGB channel. augmentations: of each block of the plan, which
    has an index for each (scenario, group). colour_free: blocks whose colour carries no information. threads: decoding
    threads. clothes: blocks that are views in other clothes; seed: of the run, from which they are drawn (see
    `clothes_view`).
    """

    store: CorpusStore
    image_size: tuple[int, int]
    mean: Sequence[float]
    std: Sequence[float]
    augmentations: Sequence[Augmentation]
    colour_free: frozenset[int] = frozenset()
    threads: int = 1
    clothes: frozenset[int] = frozenset()
    seed: int = 0

    def load(self, plan: BatchPlan, pool: ThreadPoolExecutor | None = None) -> torch.Tensor:
        """float32 [B, 3, h, w] on the CPU, the plan's rows in their order."""
        chunks = [plan.rows(at, at + _CHUNK) for at in range(0, len(plan), _CHUNK)]
        pixels = list(pool.map(self._pixels, chunks) if pool else map(self._pixels, chunks))
        size = (0, *self.image_size, 3)
        return to_tensor(np.concatenate(pixels or [np.zeros(size, np.uint8)]), self.mean, self.std)

    def iterate(self, plans: Iterable[BatchPlan]) -> Iterator[tuple[BatchPlan, torch.Tensor]]:
        """(plan, images) in the order of the plans; the next batch loads while this one is used."""
        with (
            ThreadPoolExecutor(self.threads, thread_name_prefix="decode") as decoders,
            ThreadPoolExecutor(1, thread_name_prefix="batch") as ahead,
        ):
            pending: deque[tuple[BatchPlan, Future[torch.Tensor]]] = deque()
            for plan in plans:
                pending.append((plan, ahead.submit(self.load, plan, decoders)))
                if len(pending) > 1:
                    ready, images = pending.popleft()
                    yield ready, images.result()
            for ready, images in pending:
                yield ready, images.result()

    def _pixels(self, plan: BatchPlan) -> NDArray[np.uint8]:
        """uint8 [b, h, w, 3], decoded and augmented."""
        images = self._decoded(plan)
        viewed = np.isin(plan.block, list(self.clothes))
        if viewed.any():
            keys = view_keys(self.seed, plan.round, plan.sample_ids[viewed])
            images[viewed] = other_clothes(images[viewed], keys)
        colour_free = np.isin(plan.block, list(self.colour_free))
        for config, mine in self._by_augmentation(plan):
            images[mine] = augment(images[mine], plan.keys[mine], colour_free[mine], config)
        return images

    def _by_augmentation(self, plan: BatchPlan) -> Iterator[tuple[Augmentation, NDArray[np.bool_]]]:
        """Each augmentation there is among the plan's rows, and the rows it is for."""
        blocks: dict[Augmentation, list[int]] = {}
        for block in np.unique(plan.block).tolist():
            blocks.setdefault(self.augmentations[block], []).append(block)
        for config, members in blocks.items():
            yield config, np.isin(plan.block, members)

    def _decoded(self, plan: BatchPlan) -> NDArray[np.uint8]:
        """uint8 [b, h, w, 3], in an array of its own."""
        encoded = self.store.images(plan.sample_ids)
        return np.stack([decode_image(data, self.image_size) for data in encoded])
