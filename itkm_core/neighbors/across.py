"""The k nearest rows of another set, exact: `nearest.py` for two sets that have no row in common. [ours]"""

from __future__ import annotations

from typing import Any

import numpy as np

from itkm_core.errors import ConfigError, FeatureError
from itkm_core.neighbors.equal_rows import group_equal_rows
from itkm_core.neighbors.kernels import thread_count
from itkm_core.neighbors.nearest import RECALL, Neighbors, distinct_lists, lists_of_rows
from itkm_core.neighbors.search import resolve_backend
from itkm_core.neighbors.unit_rows import unit_rows
from itkm_core.neighbors.workers import Threads, Workers


def nearest_across(
    queries: Any,
    features: Any,
    k: int,
    *,
    backend: str = "auto",
    recall: float = RECALL,
    num_threads: int | None = None,
    workers: Workers | None = None,
) -> Neighbors:
    """The k of `features` nearest to each of `queries` by cosine, sorted by (cosine down, row up).

    `queries` [Q, D], `features` [N, D]: unit rows, float32 (others are converted); 1 <= k <= N. Returns
    `indices` int32 [Q, k] (rows of `features`) and `similarities` float32 [Q, k]. Copies, ties, memory
    O(N + Q k), `backend`, `recall`, `num_threads` and `workers` are as in `nearest`.

    Raises FeatureError for unusable rows or two dimensions, ConfigError for k, backend or num_threads out of
    range.
    """
    asking, rows = unit_rows(queries), unit_rows(features)
    if asking.shape[1] != rows.shape[1]:
        raise FeatureError(
            f"queries have {asking.shape[1]} columns and features {rows.shape[1]}; "
            "expected vectors of one encoder"
        )
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= len(rows):
        raise ConfigError(f"k is {k!r}; expected an integer from 1 to the {len(rows)} rows")
    if len(rows) >= 2**31:
        raise ConfigError(f"{len(rows)} rows; expected fewer than 2^31 in one group")
    groups, asked = group_equal_rows(rows), group_equal_rows(asking)
    chosen = resolve_backend(backend, len(groups.first))
    if not len(asking):
        return Neighbors(np.empty((0, k), np.int32), np.empty((0, k), np.float32), chosen)
    # Taking rows copies them: only where some are equal.
    distinct_asking = asking if len(asked.first) == len(asking) else asking[asked.first]
    distinct = rows if len(groups.first) == len(rows) else rows[groups.first]
    by: Workers = workers or Threads(thread_count(num_threads))
    wanted = min(int(k), len(distinct))
    lists = distinct_lists(distinct_asking, distinct, wanted, chosen, by, recall)
    indices, similarities = lists_of_rows(lists, asked.group, groups, int(k), False, by.threads)
    return Neighbors(indices, similarities, chosen, lists.recall)
