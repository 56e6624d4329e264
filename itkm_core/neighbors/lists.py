"""The nearest of distinct rows: a float32 search proposes them, float64 cosines decide. [ours]

Suffixes: U rows, Q queries, k neighbours, W candidates.

The exact backends propose k + 8 candidates a row. Their float64 cosines (`similarity.py`) decide the order. A row whose
k-th cosine does not clear the worst candidate's score by the search's rounding bound could have missed a neighbour or a
tie; such rows are searched again in float64 over all rows. So faiss and torch return the same arrays.

The approximate backend looks at as many lists of an inverted file as a sample of the rows needs for the recall asked
for; what it finds is in the same order, by the same cosines.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from itkm_core.neighbors.csr import Csr
from itkm_core.neighbors.inverted import (
    TOGETHER,
    InvertedFile,
    make_inverted_file,
    probes_for,
    search_inverted_file,
)
from itkm_core.neighbors.kernels import Array, map_blocks
from itkm_core.neighbors.search import BLOCK_BYTES, Backend, search
from itkm_core.neighbors.similarity import cosines_to, float32_error, float64_error, rerank
from itkm_core.neighbors.workers import Workers, joined_each

MARGIN = 8
"""Candidates beyond k, so that the k-th clears the worst of them by more than rounding. [ours]"""

RECALL = 0.99
"""Share of the exact neighbours that the approximate backend finds of a sample of the rows. [ours]"""

RECALL_SAMPLE = 1024


class Lists(NamedTuple):
    """Of Q queries: rows int32 [Q, k] and float64 cosines [Q, k], and the share of the exact ones among them."""

    indices: npt.NDArray[np.int32]
    exact: npt.NDArray[np.float64]
    recall: float


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
    held = file.centroids, file.rows, *file.lists
    shared = [workers.share(array) for array in (queries, rows, *held)]
    # Queries taken together are the same whoever takes them: the last bits of a product can depend on its size.
    spans = workers.spans(_probed_lists, len(queries), TOGETHER, *shared, k, num_probes)
    indices, exact = joined_each(spans)
    return Lists(indices, exact, found)


def _probed_lists(
    queries: npt.NDArray[np.float32],
    rows: npt.NDArray[np.float32],
    centroids: npt.NDArray[np.float32],
    by_list: npt.NDArray[np.float32],
    list_start: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64],
    k: int,
    num_probes: int,
    start: int,
    stop: int,
    threads: int,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Rows and cosines of the queries start..stop; the arrays of `InvertedFile` one by one, as they are sent."""
    file = InvertedFile(centroids, by_list, Csr(list_start, numbers))
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
