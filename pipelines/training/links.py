"""What a round of Stage III learns from beside its labels: texts, matches and the features of its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.artifacts.features import read_features
from pipelines.artifacts.matches import read_clusters, read_instances
from pipelines.artifacts.texts import read_texts

if TYPE_CHECKING:
    from itkm_core.learning.terms import Positives
    from pipelines.training.tasks import TrainTask


def links_of(task: TrainTask, tables: Sequence[pa.Table]) -> dict[str, Any]:
    """Keyword arguments of `StageThree`: an entry per block in each, None for a part that is off."""
    blocks = [(table["scenario"][0].as_py(), table["group"][0].as_py()) for table in tables]
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


def _texts(task: TrainTask, blocks: Sequence[tuple[str, int]]) -> list[Any]:
    import torch

    return [
        torch.from_numpy(read_texts(task.matches[scenario], str(group)).clusters)
        for scenario, group in blocks
    ]


def _clusters(
    task: TrainTask, blocks: Sequence[tuple[str, int]], block: tuple[str, int]
) -> Positives | None:
    from itkm_core.learning.terms import Positives

    scenario, group = block
    opposite = (scenario, 1 - group)
    found = read_clusters(task.matches[scenario]) if opposite in blocks else None
    if found is None:
        return None
    indptr, indices = found.targets(group)
    return Positives(blocks.index(opposite), indptr, indices)


def _instances(
    task: TrainTask, blocks: Sequence[tuple[str, int]], block: tuple[str, int]
) -> Positives | None:
    from itkm_core.learning.terms import Positives

    scenario, group = block
    opposite = (scenario, 1 - group)
    found = read_instances(task.matches[scenario]) if opposite in blocks else None
    if found is None:
        return None
    indptr, indices = found.positives(group)
    return Positives(blocks.index(opposite), indptr, indices, found.hard(group))


def _bank(task: TrainTask, table: pa.Table, block: tuple[str, int]) -> Any:
    from itkm_core.learning.instance_bank import InstanceBank

    assert task.features is not None
    scenario, group = block
    ids = table["sample_id"].to_numpy()
    features = read_features(task.features, ids, scenario=scenario, group=group)
    return InstanceBank(ids, features)
