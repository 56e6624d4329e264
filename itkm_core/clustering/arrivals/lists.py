"""Neighbour lists of known and new images together, without a search among the known ones. [ours]

Suffixes: N known images, M new ones, k list entries.

The k nearest of a union are among the k nearest in each of its parts. So a known image's list is its old one merged
with its nearest new images, a new one's merges its nearest in both parts: 2 N M + M^2 products in place of (N + M)^2.
Merged by (cosine down, sample id up) of the same float64 cosines, exact lists give the exact lists of the union.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from itkm_core.neighbors.kernels import Array, kernel, map_blocks
from itkm_core.neighbors.nearest import BLOCK_ROWS, nearest, nearest_across
from itkm_core.neighbors.search import APPROXIMATE_FROM, Backend, resolve_backend
from itkm_core.neighbors.similarity import listed_cosines
from itkm_core.neighbors.workers import Workers

Rows = npt.NDArray[np.float32]
Lists = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Joined:
    """`rows` float32 [N+M, D] and `lists` int32 [N+M, k], in order of sample id.

    `known_at` [N] and `new_at` [M] int32: where the known and the new images are. `backend`: of the search among
    the known images. `recall`: the least of the three searches.
    """

    rows: Rows
    lists: Lists
    known_at: npt.NDArray[np.int32]
    new_at: npt.NDArray[np.int32]
    backend: Backend
    recall: float


def join_lists(
    known: tuple[npt.NDArray[np.int64], Rows, Lists],
    new: tuple[npt.NDArray[np.int64], Rows],
    k1: int,
    *,
    backend: str,
    recall: float,
    workers: Workers,
) -> Joined:
    """Lists of min(k1, N + M) entries. `known` and `new`: ids (rising, none in both) and rows of each; M >= 1.

    The known images' lists have min(k1, N) entries, rows of theirs, each itself first.
    """
    known_ids, known_rows, known_lists = known
    new_ids, new_rows = new
    order = np.argsort(np.concatenate([known_ids, new_ids]), kind="stable")
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    known_at, new_at = place[: len(known_ids)], place[len(known_ids) :]

    how: dict[str, Any] = {"recall": recall, "workers": workers}
    wide, narrow = min(k1, len(known_rows)), min(k1, len(new_rows))
    among = nearest(new_rows, narrow, backend=backend, **how)
    rows = np.concatenate([known_rows, new_rows])
    if (order[1:] < order[:-1]).any():
        rows = rows[order]
    if not wide:
        return Joined(rows, among.indices, known_at, new_at, among.backend, among.recall)
    how["backend"] = _backend(backend, len(known_rows), len(new_rows), workers.device)
    to_known = nearest_across(new_rows, known_rows, wide, **how)
    to_new = nearest_across(known_rows, new_rows, narrow, **how)

    lists = np.empty((len(order), min(k1, len(order))), np.int32)
    mine, theirs = (known_rows, known_lists, known_at), (new_rows, among.indices, new_at)
    _merge(lists, *mine, new_rows, to_new.indices, new_at, workers.threads)
    _merge(lists, *theirs, known_rows, to_known.indices, known_at, workers.threads)
    least = min(among.recall, to_known.recall, to_new.recall)
    return Joined(rows, lists, known_at, new_at, to_known.backend, least)


def _backend(backend: str, num_known: int, num_new: int, device: str | None) -> Backend:
    """What "auto" means: "ivf" from as many products on as among one set's images, else it goes by the larger set."""
    if resolve_backend(backend, math.isqrt(num_known * num_new), device) == "ivf":
        return "ivf"
    larger = min(max(num_known, num_new), APPROXIMATE_FROM - 1)
    return resolve_backend(backend, larger, device)


def _merge(
    lists: Lists,
    rows: Rows,
    own_lists: Lists,
    own_at: npt.NDArray[np.int32],
    other_rows: Rows,
    other_lists: Lists,
    other_at: npt.NDArray[np.int32],
    threads: int,
) -> None:
    """Write into `lists` those of `rows`: their lists among themselves merged with those among the others."""
    width = own_lists.shape[1]

    def merge(start: int, stop: int) -> None:
        block = slice(start, stop)
        lists[own_at[block], :width] = own_at[own_lists[block]]
        touched = np.arange(start, stop)
        if width == lists.shape[1]:
            # Most lists of a large index hold nobody less near than the nearest newcomer.
            ends = own_lists[block, -1:].copy(), other_lists[block, :1].copy()
            last = listed_cosines(rows[block], rows, ends[0], 0, stop - start)
            first = listed_cosines(rows[block], other_rows, ends[1], 0, stop - start)
            touched = touched[(first >= last)[:, 0]]
        own, other = own_lists[touched], other_lists[touched]
        merged = _merged(
            own_at[own],
            listed_cosines(rows[touched], rows, own, 0, len(touched)),
            other_at[other],
            listed_cosines(rows[touched], other_rows, other, 0, len(touched)),
            lists.shape[1],
        )
        lists[own_at[touched]] = merged

    map_blocks(merge, len(rows), BLOCK_ROWS, threads)


@kernel
def _merged(own: Array, own_cosines: Array, other: Array, other_cosines: Array, k: int) -> Array:
    """The first k of two lists, each by (cosine down, row up); the first of `own` is the image itself, and stays."""
    merged = np.empty((own.shape[0], k), np.int32)
    for row in range(own.shape[0]):
        merged[row, 0] = own[row, 0]
        a = 1
        b = 0
        for at in range(1, k):
            take_own = b == other.shape[1]
            if a < own.shape[1] and b < other.shape[1]:
                mine = own_cosines[row, a]
                theirs = other_cosines[row, b]
                take_own = mine > theirs or (mine == theirs and own[row, a] < other[row, b])
            if take_own:
                merged[row, at] = own[row, a]
                a += 1
            else:
                merged[row, at] = other[row, b]
                b += 1
    return merged
