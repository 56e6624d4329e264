"""The labels of a block as files of its label step, and those of a whole run."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import UNGROUPED, Block

LABELS_FILE = "pseudo_labels.parquet"
"""The labels of all blocks, in the folder of a run or of `itkm label`."""

NEIGHBORS = "neighbours.npy"
"""The neighbour lists that labelling starts from (docs/definition.md, "Pseudo-labels", step 1), kept for images
that arrive later."""


def label_table(
    block: Block, ids: np.ndarray, labels: np.ndarray, is_core: np.ndarray, confidence: np.ndarray
) -> pa.Table:
    """The label table of one block: a row per image, in the order of `ids`.

    ids, labels: int64 [N]. is_core: bool [N]. confidence: float32 [N]. Images without a known scenario and
    group get no such columns.
    """
    known = {}
    if block != UNGROUPED:
        known = {
            "scenario": pa.array([block.scenario] * len(ids), pa.string()),
            "group": np.full(len(ids), block.group, np.int8),
        }
    return pa.table(
        {
            "sample_id": ids,
            **known,
            "label": labels,
            "is_core": is_core,
            "confidence": confidence,
        }
    )


def read_labels(step: Place) -> pa.Table:
    """A label step's table, in order of sample_id."""
    return (step / "labels.parquet").read_table()


def read_centroids(step: Place) -> np.ndarray:
    """A label step's cluster centroids [K, D] float32."""
    return np.asarray((step / "centroids.npy").read_array(), np.float32)
