"""The k-reciprocal encoding V, on the accelerator where there is one with the memory for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.device import encode_on_device, or_none
from itkm_core.neighbors.reciprocal import encode_on_host
from itkm_core.neighbors.sparse_rows import SparseRows
from itkm_core.neighbors.workers import Workers


def encode(
    rows: npt.NDArray[np.float32], lists: npt.NDArray[np.int32], k2: int, workers: Workers
) -> SparseRows:
    """V of docs/definition.md, "Pseudo-labels", steps 2 and 3.

    `rows` float32 [N, D], `lists` int32 [N, k1], 1 <= k2 <= k1.

    Every row of V has non-negative values that sum to 1. The order of its rows is `SparseRows.order`.
    """
    if workers.device is not None:
        encoded = or_none(encode_on_device, rows, lists, k2, workers.device)
        if encoded is not None:
            return encoded
    return encode_on_host(rows, lists, k2, workers)
