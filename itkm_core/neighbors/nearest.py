"""The k nearest images of every image, in one order whatever searched for them.

Suffixes: N images, U distinct rows, k neighbours, W candidates.

The exact backends propose k + 8 candidates a row by a float32 search. Their float64 cosines (`similarity.py`) decide
the order. A row whose k-th cosine does not clear the worst candidate's score by the search's rounding bound could
have missed a neighbour or a tie; such rows are searched again in float64 over all rows. So faiss and torch return
the same arrays. Equal rows are searched once: a thousand copies of one image tie at the top of each other's lists,
and the order among them is by row. [ours]

The approximate backend looks at as many lists of an inverted file as a sample of the rows needs for the recall asked
for; what it finds is in the same order, by the same cosines. [ours]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from itkm_core.errors import ConfigError
from itkm_core.neighbors.equal_rows import Groups, group_equal_rows
from itkm_core.neighbors.inverted import (
    TOGETHER,
    InvertedFile,
    make_inverted_file,
    probes_for,
    search_inverted_file,
)
from itkm_core.neighbors.kernels import Array, kernel, map_blocks, thread_count
from itkm_core.neighbors.search import BLOCK_BYTES, Backend, resolve_backend, search
from itkm_core.neighbors.similarity import (
    cosines_to,
    float32_error,
    float64_error,
    own_cosines,
    rerank,
)
from itkm_core.neighbors.unit_rows import unit_rows
from itkm_core.neighbors.workers import Threads, Workers, joined_each

MARGIN = 8
"""Candidates beyond k, so that the k-th clears the worst of them by more than rounding. [ours]"""

BLOCK_ROWS = 1024

RECALL = 0.99
"""Share of the exact neighbours that the approximate backend finds of a sample of the rows. [ours]"""

RECALL_SAMPLE = 1024


class Lists(NamedTuple):
    """Of Q queries: rows int32 [Q, k] and float64 cosines [Q, k], and the share of the exact ones among them."""

    indices: npt.NDArray[np.int32]
    exact: npt.NDArray[np.float64]
    recall: float


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
    by: Workers = workers or Threads(thread_count(num_threads))
    rows = unit_rows(features)
    if not 0 < recall <= 1:
        raise ConfigError(f"recall is {recall!r}; expected a share above 0 and up to 1")
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= len(rows):
        raise ConfigError(f"k is {k!r}; expected an integer from 1 to the {len(rows)} rows")
    if len(rows) >= 2**31:
        raise ConfigError(f"{len(rows)} rows; expected fewer than 2^31 in one group")
    groups = group_equal_rows(rows)
    chosen = resolve_backend(backend, len(groups.first), by.device)
    distinct = rows if len(groups.first) == len(rows) else rows[groups.first]
    lists = distinct_lists(distinct, distinct, min(int(k), len(distinct)), chosen, by, recall)
    indices, similarities = lists_of_rows(lists, groups.group, groups, k, True, by.threads)
    # A row is at cosine |x|^2 from itself, which a list cut short by its duplicates no longer holds.
    similarities[:, 0] = own_cosines(distinct)[groups.group]
    return Neighbors(indices, similarities, chosen, lists.recall)


def distinct_lists(
    queries: npt.NDArray[np.float32],
    rows: npt.NDArray[np.float32],
    k: int,
    backend: Backend,
    workers: Workers,
    recall: float = RECALL,
) -> Lists:
    """The k nearest of U distinct rows to each query, by (cosine down, row up)."""
    if backend == "ivf":
        return _approximate_lists(queries, rows, k, workers, recall)
    if backend == "torch" and workers.device is not None:
        here = queries, rows, k, backend, 0, len(queries), workers.threads, workers.device
        return Lists(*_exact_lists(*here), 1.0)
    shared = workers.share(queries), workers.share(rows)
    spans = workers.spans(_exact_lists, len(queries), 1, *shared, k, backend)
    indices, exact = joined_each(spans)
    return Lists(indices, exact, 1.0)


def _exact_lists(
    queries: npt.NDArray[np.float32],
    rows: npt.NDArray[np.float32],
    k: int,
    backend: Literal["faiss-flat", "torch"],
    start: int,
    stop: int,
    threads: int,
    device: str | None = None,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Rows and cosines of the queries start..stop, the candidates found on `device`."""
    queries = queries[start:stop]
    width = min(k + MARGIN, len(rows))
    indices = np.empty((len(queries), k), np.int32)
    exact = np.empty((len(queries), k), np.float64)

    def order(start: int, scores: Array, candidates: Array) -> Array:
        block = slice(start, start + len(scores))
        return rerank(queries, rows, candidates, scores, start, k, indices[block], exact[block])

    verdict = np.concatenate(search(rows, width, backend, threads, order, queries, device))
    if width < len(rows):
        bound = float32_error(rows.shape[1])
        doubtful = verdict[:, 0] <= bound
        # Scores further off than float32 allows (reduced precision forced on the process) vouch for nothing.
        doubtful |= verdict[:, 1].max() > bound
        _search_again(rows, np.flatnonzero(doubtful), k, indices, exact, threads, queries)
    return indices, exact


def _approximate_lists(
    queries: npt.NDArray[np.float32],
    rows: npt.NDArray[np.float32],
    k: int,
    workers: Workers,
    recall: float,
) -> Lists:
    """As `distinct_lists`, of the rows that an inverted file finds."""
    file = make_inverted_file(rows, workers)
    random = np.random.default_rng(len(queries))
    chosen = random.choice(len(queries), min(RECALL_SAMPLE, len(queries)), replace=False)
    sample = queries[np.sort(chosen)]
    known = distinct_lists(sample, rows, k, "torch", workers).indices
    # A row finds itself: that says nothing about its other neighbours.
    judged = known[:, 1:] if queries is rows and k > 1 else known
    num_probes, found = probes_for(file, sample, judged, recall)
    held = file.centroids, file.rows, file.numbers, file.start
    shared = [workers.share(array) for array in (queries, rows, *held)]
    # Queries taken together are the same whoever takes them: the last bits of a product can hang on its size.
    spans = workers.spans(_probed_lists, len(queries), TOGETHER, *shared, k, num_probes)
    indices, exact = joined_each(spans)
    return Lists(indices, exact, found)


def _probed_lists(
    queries: npt.NDArray[np.float32],
    rows: npt.NDArray[np.float32],
    centroids: npt.NDArray[np.float32],
    by_list: npt.NDArray[np.float32],
    numbers: npt.NDArray[np.int64],
    list_start: npt.NDArray[np.int64],
    k: int,
    num_probes: int,
    start: int,
    stop: int,
    threads: int,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Rows and cosines of the queries start..stop; the arrays of `InvertedFile` lie open, as they are sent."""
    file = InvertedFile(centroids, by_list, numbers, list_start)
    queries = queries[start:stop]
    indices = np.empty((len(queries), k), np.int32)
    exact = np.empty((len(queries), k), np.float64)

    def order(start: int, scores: Array, candidates: Array) -> Array:
        # Best first: a row with too few candidates shows it in the last.
        short = np.flatnonzero(candidates[:, -1] < 0)
        candidates[short] = 0
        block = slice(start, start + len(scores))
        rerank(queries, rows, candidates, scores, start, k, indices[block], exact[block])
        return short + start

    width = min(k + MARGIN, len(rows))
    blocks = search_inverted_file(queries, file, num_probes, width, threads, order)
    # Lists too short for k neighbours: of rows far from all others, and few.
    _search_again(rows, np.concatenate(blocks), k, indices, exact, threads, queries)
    return indices, exact


def _search_again(
    rows: npt.NDArray[np.float32],
    doubtful: npt.NDArray[np.intp],
    k: int,
    indices: npt.NDArray[np.int32],
    exact: npt.NDArray[np.float64],
    threads: int,
    queries: npt.NDArray[np.float32],
) -> None:
    """The lists of the queries numbered `doubtful` from float64 scores against all rows, a block at a time."""
    error = float64_error(rows.shape[1])

    def again(start: int, stop: int) -> None:
        block = doubtful[start:stop]
        scores = np.empty((len(block), len(rows)))
        for first in range(0, len(rows), 4096):
            part = rows[first : first + 4096].astype(np.float64)
            scores[:, first : first + 4096] = queries[block].astype(np.float64) @ part.T
        worst = np.partition(scores, len(rows) - k, axis=1)[:, len(rows) - k]
        for at, query in enumerate(block):
            near = np.flatnonzero(scores[at] >= worst[at] - 2 * error)
            cosines = cosines_to(queries[query], rows, near)
            best = np.argsort(-cosines, kind="stable")[:k]
            indices[query], exact[query] = near[best], cosines[best]

    map_blocks(again, len(doubtful), max(1, BLOCK_BYTES // (8 * len(rows) * threads)), threads)


def lists_of_rows(
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
            groups.start,
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
    group_start: Array,
    members: Array,
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
                    run_rows[size] = members[member]
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
