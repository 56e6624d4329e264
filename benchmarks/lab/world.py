"""A corpus decoded once and kept in memory: its pixels, and what is known of its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import torch

from benchmarks.lab.more_augmentation import augment_more
from itkm_core.corpus.images import decode_image
from itkm_core.corpus.loader import BatchLoader
from itkm_core.corpus.sampling import BatchPlan
from itkm_core.corpus.schema import Corpus, cameras_of, train_ids
from itkm_core.corpus.store import CorpusStore
from itkm_core.corpus.transforms import to_tensor
from itkm_core.evaluation.retrieval import evaluate_corpus
from pipelines.artifacts.blocks import Block

Array = np.ndarray


@dataclass(frozen=True)
class World:
    """A corpus of N images in blocks, all of them decoded: uint8 [N, h, w, 3], by sample id."""

    corpus: Corpus
    index: pa.Table
    identities: pa.Table
    pixels: Array
    persons: Array  # int64 [N], -1 unknown
    blocks: tuple[Block, ...]

    @classmethod
    def open(cls, root: str, size: tuple[int, int]) -> World:
        corpus = Corpus.open(root)
        index, identities = corpus.index(), corpus.identities()
        assert identities is not None, f"{root} has no identities to score with"
        store, count = CorpusStore(corpus), corpus.num_images
        data = store.images(np.arange(count))
        pixels = np.stack([decode_image(each, size) for each in data])
        persons = np.full(count, -1, np.int64)
        persons[identities["sample_id"].to_numpy()] = identities["person"].to_numpy()
        trained = sorted({(s, g) for s, g, split in corpus.counts if split == "train"})
        blocks = tuple(Block(*each) for each in trained)
        return cls(corpus, index, identities, pixels, persons, blocks)

    def ids(self, block: Block) -> Array:
        """Sample ids int64 [n] of a block's training images."""
        return train_ids(self.corpus, *block)

    def cameras(self, block: Block) -> Array:
        return cameras_of(self.corpus, self.ids(block))

    def features(self, encoder: torch.nn.Module, info: object, batch: int = 256) -> Array:
        """float32 [N, D] of all images, computed in bf16."""
        scenarios = np.array([info.scenarios.index(s) for s in self.index["scenario"].to_pylist()])  # type: ignore[attr-defined]
        groups = self.index["group"].to_numpy().astype(np.int64)
        encoder.eval()
        found = []
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            for at in range(0, len(self.pixels), batch):
                part = slice(at, at + batch)
                images = to_tensor(self.pixels[part], info.mean, info.std)  # type: ignore[attr-defined]
                rows = torch.from_numpy(groups[part]), torch.from_numpy(scenarios[part])
                found.append(encoder(images, *rows).float().numpy())
        return np.concatenate(found)

    def retrieval(self, features: Array) -> dict[str, float]:
        """mAP in percent of each scenario, the mean over its directions, and of all."""
        scores: dict[str, list[float]] = {}
        everything = np.arange(len(features))
        for row in evaluate_corpus(self.index, self.identities, features, everything):
            facts = row.summary()
            scores.setdefault(facts["scenario"], []).append(100 * facts["mean_ap"])
        found = {name: float(np.mean(values)) for name, values in scores.items()}
        return {**found, "mean": float(np.mean(list(found.values())))}


@dataclass(frozen=True)
class MemoryLoader(BatchLoader):
    """The pipeline's loader, from decoded pixels; `more`: of a block, options of `augment_more`."""

    world: World | None = None
    more: Mapping[int, Mapping[str, float]] = field(default_factory=dict)

    def _decoded(self, plan: BatchPlan) -> Array:
        assert self.world is not None
        images = self.world.pixels[plan.sample_ids]
        for block, options in self.more.items():
            mine = np.flatnonzero(plan.block == block)
            if len(mine):
                rows = images[mine]
                augment_more(
                    rows, plan.keys[mine], np.full(len(mine), block in self.colour_free), options
                )
                images[mine] = rows
        return images
