"""A small made scenario, on disk as the steps before matching leave it, and in arrays. Not a test itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from made import unit_noise

from itkm_core.clustering.centroids import cluster_means
from itkm_core.learning.config import MatchConfig
from itkm_core.learning.text_update import (
    cluster_text,
    instance_text,
    text_cluster,
    update_instance_text,
)
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.texts import MovedTexts, Texts
from pipelines.steps.match import MatchTask

SCENARIO, RHO = "day/night", 0.7
SIZES = (40, 33)
STAGE_TWO_CLUSTERS = 5


class Made:
    """A scenario's extraction, labels and Stage II, on disk as their steps leave them, and in arrays."""

    def __init__(self, base: Path, groups: tuple[int, ...] = (0, 1)) -> None:
        rng = np.random.default_rng(3)
        self.base = Place.at(base)
        self.ids, self.labels, self.features = {}, {}, {}
        self.first, self.frozen, self.offline = {}, {}, {}
        for group in groups:
            count = SIZES[group]
            self.ids[group] = np.sort(rng.choice(1000, count, replace=False)) + 1000 * group
            self.labels[group] = rng.integers(-1, 4 + group, count)
            self.labels[group][: 4 + group] = np.arange(4 + group)
            self.features[group] = unit_noise(count, 8, rng)
            self.first[group] = rng.integers(-1, STAGE_TWO_CLUSTERS, count)
            self.frozen[group] = unit_noise(count, 8, rng)
            self.offline[group] = unit_noise(STAGE_TWO_CLUSTERS, 8, rng)
            self.write(group)

    def write(self, group: int) -> None:
        ids, labels, features = self.ids[group], self.labels[group], self.features[group]
        table = pa.table(
            {
                "sample_id": ids,
                "label": labels,
                "scenario": [SCENARIO] * len(ids),
                "group": np.full(len(ids), group, np.int8),
            }
        )
        step = self.base / f"label-{group}"
        (step / "labels.parquet").write_table(table)
        (step / "centroids.npy").write_array(cluster_means(features, labels))
        order = np.random.default_rng(0).permutation(len(ids))  # Ray Data keeps no order
        stored = pa.table(
            {
                "sample_id": ids[order],
                "feature": pa.FixedSizeListArray.from_arrays(features[order].ravel(), 8),
            }
        )
        part = f"scenario=day%2Fnight/group={group}/split=train"
        (self.base / "features" / part / "from-0.parquet").write_table(stored)
        before = pa.FixedSizeListArray.from_arrays(self.frozen[group][order].ravel(), 8)
        stored = stored.set_column(1, "feature", before)
        (self.base / "frozen" / part / "from-0.parquet").write_table(stored)
        owners = text_cluster(self.frozen[group], self.first[group], self.offline[group])
        block = Block(SCENARIO, group).file_name
        prompts = self.base / "prompts"
        MovedTexts(self.offline[group], self.offline[group][owners]).write(prompts, block)
        (prompts / f"text-cluster-{block}.npy").write_array(owners)

    def task(self, **changes: Any) -> MatchTask:
        prompts = self.base / "prompts"
        task = MatchTask(
            scenario=SCENARIO,
            labels={group: self.base / f"label-{group}" for group in self.ids},
            features=self.base / "features",
            out=self.base / "match",
            options=MatchConfig(k=6),
            clusters=True,
            instances=True,
            max_negatives=10_000,
            texts={group: Texts(prompts, Block(SCENARIO, group).file_name) for group in self.ids},
            rho=RHO,
        )
        return replace(task, **changes)

    def centroids(self, group: int) -> np.ndarray:
        return cluster_means(self.features[group], self.labels[group])

    def moved(self, group: int) -> tuple[np.ndarray, np.ndarray]:
        """T and t after DRU, by direct calls."""
        start = instance_text(self.frozen[group], self.first[group], self.offline[group])
        texts = cluster_text(start, self.labels[group])
        return texts, update_instance_text(start, texts, self.labels[group], RHO)
