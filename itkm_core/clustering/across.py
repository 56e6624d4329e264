"""The k nearest rows of another set, exact: `neighbors.py` for two sets that have no row in common. [ours]"""

from __future__ import annotations

from typing import Any

import numpy as np

from itkm_core.clustering.compiled import map_blocks, thread_count
from itkm_core.clustering.duplicates import group_equal_rows
from itkm_core.clustering.features import unit_rows
from itkm_core.clustering.neighbors import BLOCK_ROWS, Neighbors, distinct_lists, expand
from itkm_core.clustering.search import resolve_backend
from itkm_core.errors import ConfigError, FeatureError


def nearest_across(
    queries: Any, features: Any, k: int, *, backend: str = "auto", num_threads: int | None = None
) -> Neighbors:
    """The k of `features` nearest to each of `queries` by cosine, sorted by (cosine down, row up).

    `queries` [Q, D], `features` [N, D]: unit rows, float32 (others are converted); 1 <= k <= N. Returns
    `indices` int32 [Q, k] (rows of `features`) and `similarities` float32 [Q, k]. Copies, ties, memory
    O(N + Q k), `backend` and `num_threads` are as in `nearest`; every backend returns the same arrays.

    Raises FeatureError for unusable rows or two dimensions, ConfigError for k, backend or num_threads out of
    range.
    """
    threads = thread_count(num_threads)
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
    indices = np.empty((len(asking), k), np.int32)
    similarities = np.empty((len(asking), k), np.float32)
    if not len(asking):
        return Neighbors(indices, similarities, chosen)
    # Taking rows copies them: only where some are equal.
    distinct_asking = asking if len(asked.first) == len(asking) else asking[asked.first]
    distinct = rows if len(groups.first) == len(rows) else rows[groups.first]
    lists = distinct_lists(distinct_asking, distinct, min(int(k), len(distinct)), chosen, threads)

    def fill(start: int, stop: int) -> None:
        expand(
            lists.indices,
            lists.exact,
            asked.group,
            groups.start,
            groups.members,
            start,
            stop,
            False,
            indices,
            similarities,
        )

    map_blocks(fill, len(asking), BLOCK_ROWS, threads)
    return Neighbors(indices, similarities, chosen, lists.recall)
