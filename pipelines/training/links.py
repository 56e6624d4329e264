"""What a round of Stage III learns from besides its labels: texts, matches, and the features of its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.artifacts.blocks import Block
from pipelines.artifacts.features import read_features
from pipelines.artifacts.matches import read_clusters, read_instances
from pipelines.artifacts.texts import read_texts

if TYPE_CHECKING:
    from itkm_core.learning.heterogeneous import Links
    from itkm_core.learning.terms import Positives
    from pipelines.training.tasks import TrainTask


def links_of(task: TrainTask, tables: Sequence[pa.Table]) -> Links:
    """The links of the blocks of these label tables; None for a part that the configuration turns off."""
    from itkm_core.learning.heterogeneous import Links

    blocks = [Block.of(table) for table in tables]
    config = task.config
    texts = clusters = instances = banks = None
    if config.guides_by_text:
        texts = [_text(task, block) for block in blocks]
    if config.matches_clusters:
        clusters = [_clusters(task, blocks, block) for block in blocks]
    if config.matches_instances:
        instances = [_instances(task, blocks, block) for block in blocks]
        banks = [
            None if found is None else _bank(task, table)
            for found, table in zip(instances, tables, strict=True)
        ]
    return Links(texts, clusters, banks, instances)


def _text(task: TrainTask, block: Block) -> Any:
    import torch

    return torch.from_numpy(read_texts(task.matches[block.scenario], str(block.group)).clusters)


def _clusters(task: TrainTask, blocks: Sequence[Block], block: Block) -> Positives | None:
    from itkm_core.learning.terms import Positives

    found = read_clusters(task.matches[block.scenario]) if block.opposite in blocks else None
    if found is None:
        return None
    return Positives(blocks.index(block.opposite), found.targets(block.group))


def _instances(task: TrainTask, blocks: Sequence[Block], block: Block) -> Positives | None:
    from itkm_core.learning.terms import Positives

    found = read_instances(task.matches[block.scenario]) if block.opposite in blocks else None
    if found is None:
        return None
    positives, hard = found.positives(block.group), found.hard(block.group)
    return Positives(blocks.index(block.opposite), positives, hard)


def _bank(task: TrainTask, table: pa.Table) -> Any:
    from itkm_core.learning.instance_bank import InstanceBank

    assert task.features is not None
    ids = table["sample_id"].to_numpy()
    return InstanceBank(ids, read_features(task.features, ids, Block.of(table)))
