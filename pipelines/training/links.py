"""What a round of Stage III learns from beside its labels: texts, matches and the features of its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.artifacts.blocks import Block
from pipelines.artifacts.features import read_features
from pipelines.artifacts.matches import read_clusters, read_instances
from pipelines.artifacts.texts import read_texts

if TYPE_CHECKING:
    from itkm_core.learning.terms import Positives
    from pipelines.training.tasks import TrainTask


def links_of(task: TrainTask, tables: Sequence[pa.Table]) -> dict[str, Any]:
    """Keyword arguments of `StageThree`: an entry per block in each, None for a part that is off."""
    blocks = [Block.of(table) for table in tables]
    config = task.config
    links: dict[str, Any] = {}
    if config.guides_by_text:
        links["texts"] = _texts(task, blocks)
    if config.matches_clusters:
        links["clusters"] = [_clusters(task, blocks, block) for block in blocks]
    if config.matches_instances:
        links["instances"] = [_instances(task, blocks, block) for block in blocks]
        links["banks"] = [
            None if found is None else _bank(task, table, block)
            for found, table, block in zip(links["instances"], tables, blocks, strict=True)
        ]
    return links


def _texts(task: TrainTask, blocks: Sequence[Block]) -> list[Any]:
    import torch

    return [
        torch.from_numpy(read_texts(task.matches[block.scenario], str(block.group)).clusters)
        for block in blocks
    ]


def _clusters(task: TrainTask, blocks: Sequence[Block], block: Block) -> Positives | None:
    from itkm_core.learning.terms import Positives

    found = read_clusters(task.matches[block.scenario]) if block.opposite in blocks else None
    if found is None:
        return None
    indptr, indices = found.targets(block.group)
    return Positives(blocks.index(block.opposite), indptr, indices)


def _instances(task: TrainTask, blocks: Sequence[Block], block: Block) -> Positives | None:
    from itkm_core.learning.terms import Positives

    found = read_instances(task.matches[block.scenario]) if block.opposite in blocks else None
    if found is None:
        return None
    indptr, indices = found.positives(block.group)
    return Positives(blocks.index(block.opposite), indptr, indices, found.hard(block.group))


def _bank(task: TrainTask, table: pa.Table, block: Block) -> Any:
    from itkm_core.learning.instance_bank import InstanceBank

    assert task.features is not None
    ids = table["sample_id"].to_numpy()
    features = read_features(task.features, ids, block)
    return InstanceBank(ids, features)
