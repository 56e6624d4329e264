"""The k nearest images of every image, in the same set or in another one, in one order whatever searched for them.

Equal rows are searched once (`lists.py`): a thousand copies of one image tie at the top of each other's lists, and the
order among them is by row. [ours]

Suffixes: N images, U distinct rows, Q queries, k neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from itkm_core.errors import ConfigError, FeatureError
from itkm_core.neighbors.csr import Csr
from itkm_core.neighbors.equal_rows import Groups, group_equal_rows
from itkm_core.neighbors.kernels import Array, kernel, map_blocks, thread_count
from itkm_core.neighbors.lists import RECALL, Lists, distinct_lists
from itkm_core.neighbors.search import Backend, resolve_backend
from itkm_core.neighbors.similarity import own_cosines
from itkm_core.neighbors.unit_rows import unit_rows
from itkm_core.neighbors.workers import Threads, Workers

BLOCK_ROWS = 1024


@dataclass(frozen=True)
class Neighbors:
    """`indices` int32 [N, k] and `similarities` float32 [N, k] (cosines), nearest first.

    Column 0 is the image itself, also where other images equal it (`nearest_across`, whose rows are those of
    another set, has no such column). The others are sorted by (cosine down, row up); the order is that of the
    float64 cosines, which `similarities` holds rounded. `recall`: 1 of an exact backend, of the approximate
    one as measured on a sample of the rows.
    """

    indices: npt.NDArray[np.int32]
    similarities: npt.NDArray[np.float32]
    backend: Backend
    recall: float = 1.0


def nearest(
    features: Any,
    k: int,
    *,
    backend: str = "auto",
    recall: float = RECALL,
    num_threads: int | None = None,
    workers: Workers | None = None,
) -> Neighbors:
    """The k rows nearest to each row by cosine, the row itself first and counted.

    `features` [N, D] unit rows, float32 (others are converted); 1 <= k <= N. `backend`: "faiss-flat" or "torch"
    (exact; both return the same arrays), "ivf" (approximate, to `recall` in (0, 1]) or "auto", which chooses by the
    number of distinct rows. Memory beyond the features is O(N k), with "ivf" and a copy of them. `num_threads`: default
    OMP_NUM_THREADS, else all usable cores. `workers`: who computes, in place of this process's threads. The result
    depends on neither.

    Raises FeatureError for unusable rows, ConfigError for k, backend, recall or num_threads out of range.
    """
    rows = unit_rows(features)
    by: Workers = workers or Threads(thread_count(num_threads))
    return _nearest(rows, rows, k, backend, recall, by, own=True)


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

    Raises as `nearest` does, and FeatureError for vectors of two dimensions.
    """
    asking, rows = unit_rows(queries), unit_rows(features)
    if asking.shape[1] != rows.shape[1]:
        raise FeatureError(
            f"queries have {asking.shape[1]} columns and features {rows.shape[1]}; "
            "expected vectors of one encoder"
        )
    by: Workers = workers or Threads(thread_count(num_threads))
    return _nearest(asking, rows, k, backend, recall, by, own=False)


def _nearest(
    asking: npt.NDArray[np.float32],
    rows: npt.NDArray[np.float32],
    k: int,
    backend: str,
    recall: float,
    by: Workers,
    *,
    own: bool,
) -> Neighbors:
    """As `nearest_across`; with `own`, as `nearest`: `asking` is `rows`."""
    if not 0 < recall <= 1:
        raise ConfigError(f"recall is {recall!r}; expected a share above 0 and up to 1")
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= len(rows):
        raise ConfigError(f"k is {k!r}; expected an integer from 1 to the {len(rows)} rows")
    if len(rows) >= 2**31:
        raise ConfigError(f"{len(rows)} rows; expected fewer than 2^31 in one group")
    groups = group_equal_rows(rows)
    chosen = resolve_backend(backend, len(groups.first), by.device)
    if not len(asking):
        return Neighbors(np.empty((0, k), np.int32), np.empty((0, k), np.float32), chosen)
    asked = groups if own else group_equal_rows(asking)
    distinct = _distinct(rows, groups)
    distinct_asking = distinct if own else _distinct(asking, asked)
    wanted = min(int(k), len(distinct))
    lists = distinct_lists(distinct_asking, distinct, wanted, chosen, by, recall)
    indices, similarities = _lists_of_rows(lists, asked.group, groups, int(k), own, by.threads)
    if own:
        # A row is at cosine |x|^2 from itself, which a list cut short by its duplicates no longer holds.
        similarities[:, 0] = own_cosines(distinct)[groups.group]
    return Neighbors(indices, similarities, chosen, lists.recall)


def _distinct(rows: npt.NDArray[np.float32], groups: Groups) -> npt.NDArray[np.float32]:
    """One row of each group; taking rows copies them, so all of them where none are equal."""
    return rows if len(groups.first) == len(rows) else rows[groups.first]


def _lists_of_rows(
    lists: Lists,
    asked: npt.NDArray[np.int32],
    groups: Groups,
    k: int,
    own_first: bool,
    threads: int,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Rows int32 and cosines float32 [N, k] of all queries, from the lists of the distinct ones.

    `asked` int32 [N]: the distinct query each is equal to. `groups`: the equal rows. `own_first`: as in `_expand`.
    """
    indices = np.empty((len(asked), k), np.int32)
    similarities = np.empty((len(asked), k), np.float32)

    def fill(start: int, stop: int) -> None:
        _expand(
            lists.indices,
            lists.exact,
            asked,
            groups.members,
            start,
            stop,
            own_first,
            indices,
            similarities,
        )

    map_blocks(fill, len(asked), BLOCK_ROWS, threads)
    return indices, similarities


@kernel
def _expand(
    near: Array,
    exact: Array,
    group: Array,
    members: Csr,
    start: int,
    stop: int,
    own_first: bool,
    indices: Array,
    similarities: Array,
) -> None:
    """Lists of rows from lists of groups: the members of the groups, tied groups merged by row.

    `own_first`: the rows ask their own set; each comes first in its list (its cosine is left to the caller).
    """
    k = indices.shape[1]
    group_start, rows_of = members
    run_rows = np.empty(near.shape[1] * (k + 1), np.int32)
    for row in range(start, stop):
        own = group[row]
        itself = row if own_first else -1
        indices[row, 0] = itself
        count = 1 if own_first else 0
        at = 0
        while count < k:
            cosine = exact[own, at]
            size = 0
            num_groups = 0
            while at < near.shape[1] and exact[own, at] == cosine:
                first = group_start[near[own, at]]
                # k members and one more, which the row itself may be, are the most that can be used.
                for member in range(first, min(first + k + 1, group_start[near[own, at] + 1])):
                    run_rows[size] = rows_of[member]
                    size += 1
                num_groups += 1
                at += 1
            if num_groups > 1:
                run_rows[:size].sort()
            for other in run_rows[:size]:
                if other != itself and count < k:
                    indices[row, count] = other
                    similarities[row, count] = cosine
                    count += 1
