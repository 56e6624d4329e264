"""A small problem for the trainers of the image encoder: two scenarios, four blocks, 64 images."""

from __future__ import annotations

from typing import Any

import numpy as np
import open_clip
import torch
from torch import Tensor
from torch.nn import functional as F

from itkm_core.corpus.sampling import BatchPlan, GroupIndex, GroupLabels, plan_step
from itkm_core.learning.config import HeterogeneousConfig, HomogeneousConfig
from itkm_core.learning.heterogeneous import Links, StageThree
from itkm_core.learning.homogeneous import StageOne
from itkm_core.learning.instance_bank import InstanceBank
from itkm_core.learning.memory import ClusterMemory
from itkm_core.learning.terms import Positives
from itkm_core.model.image_encoder import ImageEncoder
from itkm_core.neighbors.csr import Csr

NUM_STEPS = 20
DIMENSION = 16
IMAGES_PER_CLUSTER = 4
NUM_OUTLIERS = 2
# Two scenarios; the third block has one cluster only, so that a batch of 7 x 3 rows has an odd size.
BLOCKS = [(0, 0, 5), (0, 1, 4), (1, 0, 1), (1, 1, 7)]
OPPOSITE = [1, 0, 3, 2]
# Clusters 4 of block 0 and 2 of block 1 are not matched; some have several partners.
CLUSTER_LINKS: list[list[list[int]]] = [
    [[0], [1], [3], [3], []],
    [[0], [1], [], [2, 3]],
    [[0, 1, 2]],
    [[0], [0], [0], [], [], [], []],
]
CLIP: dict[str, Any] = {
    "embed_dim": DIMENSION,
    "vision_cfg": {
        "image_size": (16, 8),
        "patch_size": 4,
        "layers": 2,
        "width": 32,
        "head_width": 16,
    },
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
}


def make_config(**changes: Any) -> HomogeneousConfig:
    values: dict[str, Any] = {
        "clusters_per_group": 2,
        "images_per_cluster": 3,
        "lr": 1e-3,
        "warmup_steps": 5,
        "steps_per_round": NUM_STEPS,
    }
    return HomogeneousConfig(**{**values, **changes})


def make_groups(blocks: list[tuple[int, int, int]] = BLOCKS) -> list[GroupIndex]:
    """Of (scenario, group, clusters); sample ids count through the blocks."""
    groups, first = [], 0
    for scenario, group, clusters in blocks:
        labels = np.repeat(np.arange(clusters), IMAGES_PER_CLUSTER)
        ids = np.arange(first, first + len(labels))
        groups.append(GroupIndex.from_labels(GroupLabels(scenario, group, ids, labels)))
        first += len(labels)
    return groups


def make_encoder() -> ImageEncoder:
    torch.manual_seed(0)
    clip = open_clip.CLIP(**CLIP)
    encoder = ImageEncoder.from_open_clip(clip, num_scenarios=2, image_size=(16, 8))
    with torch.no_grad():
        encoder.patch_embeddings[1].weight.mul_(0.5)
    return encoder


def unit(num: int, seed: int = 0, dimension: int = DIMENSION) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(num, dimension, generator=generator), dim=1)


def make_memories() -> list[ClusterMemory]:
    return [ClusterMemory(unit(k, seed)) for seed, (_, _, k) in enumerate(BLOCKS)]


def make_stage(config: HomogeneousConfig) -> StageOne:
    return StageOne(make_encoder(), make_memories(), config, total_steps=2 * NUM_STEPS)


def make_plan(step: int, config: HomogeneousConfig) -> BatchPlan:
    return plan_step(
        make_groups(),
        clusters_per_group=config.clusters_per_group,
        images_per_cluster=config.images_per_cluster,
        seed=0,
        round=1,
        step=step,
    )


def make_images(plan: BatchPlan) -> Tensor:
    """Each row's picture comes from its sample id and its key, as a loader's would."""
    generator = torch.Generator()
    images = []
    for sample, key in zip(plan.sample_ids.tolist(), plan.keys.tolist(), strict=True):
        picture = torch.randn(3, 16, 8, generator=generator.manual_seed(sample))
        noise = torch.randn(3, 16, 8, generator=generator.manual_seed(key % 2**63))
        images.append(picture + 0.2 * noise)
    return torch.stack(images)


def links(opposite: int, rows: list[list[int]], hard: np.ndarray | None = None) -> Positives:
    indptr = np.cumsum([0, *map(len, rows)])
    indices = [index for row in rows for index in row]
    return Positives(opposite, Csr(indptr, np.array(indices, np.int32)), hard)


def make_banks() -> list[InstanceBank | None]:
    """A block's images and some outliers, in no order."""
    banks: list[InstanceBank | None] = []
    for block, index in enumerate(make_groups()):
        outliers = 1000 + NUM_OUTLIERS * block + np.arange(NUM_OUTLIERS)
        ids = np.random.default_rng(block).permutation(np.append(index.members, outliers))
        banks.append(InstanceBank(ids, unit(len(ids), 10 + block)))
    return banks


def make_instance_links(num_hard: int = 6) -> list[Positives | None]:
    """Up to two positives a bank row, often none; some of the hard rows are positives, as happens."""
    sizes = [clusters * IMAGES_PER_CLUSTER + NUM_OUTLIERS for _, _, clusters in BLOCKS]
    rng = np.random.default_rng(7)
    made: list[Positives | None] = []
    for block, size in enumerate(sizes):
        orders = [rng.permutation(sizes[OPPOSITE[block]]) for _ in range(size)]
        rows = [sorted(order[: rng.integers(0, 3)].tolist()) for order in orders]
        hard = np.stack([np.roll(order, 2)[:num_hard] for order in orders]).astype(np.int32)
        made.append(links(OPPOSITE[block], rows, hard))
    return made


def make_parts() -> dict[str, Any]:
    """Everything Stage III adds; the third block has no text representations."""
    texts: list[Tensor | None] = [unit(k, 20 + b) for b, (_, _, k) in enumerate(BLOCKS)]
    texts[2] = None
    return {
        "texts": texts,
        "clusters": [links(OPPOSITE[b], rows) for b, rows in enumerate(CLUSTER_LINKS)],
        "banks": make_banks(),
        "instances": make_instance_links(),
    }


def make_options(**changes: Any) -> HeterogeneousConfig:
    """The third block's bank of 6 images is contrasted with whole, the others are cut."""
    values = {"chm_weight": 0.5, "ihm_weight": 2.0, "text_weight": 0.7, "max_negatives": 10}
    return HeterogeneousConfig(**{**values, "text_temperature": 0.1, **changes})


def make_stage_three(
    config: HomogeneousConfig, options: HeterogeneousConfig | None = None, **parts: Any
) -> StageThree:
    """`parts` take the place of those of `make_parts`."""
    return StageThree(
        make_encoder(),
        make_memories(),
        config,
        total_steps=2 * NUM_STEPS,
        options=options or make_options(),
        links=Links(**{**make_parts(), **parts}),
    )
