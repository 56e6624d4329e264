"""What a label step leaves, read back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from itkm_core.storage.place import Place

NEIGHBORS = "neighbours.npy"
"""Lists of step 1 of docs/definition.md, "Pseudo-labels", kept for images that arrive later."""


def read_labels(step: Place) -> pa.Table:
    """A label step's table, in order of sample_id."""
    return (step / "labels.parquet").read_table()


def read_centroids(step: Place) -> np.ndarray:
    """A label step's cluster centroids [K, D] float32."""
    return np.asarray((step / "centroids.npy").read_array(), np.float32)
