"""The best of many scores per query, kept while the scores come in blocks. [ours]

Suffixes: B queries, T scores of a block, W best asked for.

Scores come in blocks that fit a core's cache. Those above a query's limit go to its buffer of 3 W; a full buffer is cut
to its best W, the worst of which is the new limit. Soon almost nothing passes, and a block costs one comparison per
score, 64 at a time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from itkm_core.neighbors.kernels import Array, kernel

BUFFER = 3
"""Size of a buffer in multiples of W: with less it is cut too often, with more it is read from memory. [ours]"""


class Best:
    """The W largest scores of each of B queries, and where they were."""

    def __init__(self, num_queries: int, width: int) -> None:
        self.width = width
        self._all = np.arange(num_queries, dtype=np.int32)
        self._scores = np.empty((num_queries, BUFFER * width), np.float32)
        self._places = np.empty((num_queries, BUFFER * width), np.int32)
        self._count = np.zeros(num_queries, np.int64)
        self._limit = np.full(num_queries, -np.inf, np.float32)

    def offer(
        self,
        scores: npt.NDArray[np.float32],
        first: int,
        queries: npt.NDArray[np.int32] | None = None,
        num_scores: int | None = None,
    ) -> None:
        """Scores [n, T] of `queries` int32 [n] (without: all B) with the places first, first + 1, ...; finite.

        Rows beyond those of `queries` and columns from `num_scores` on are padding, and not looked at.
        """
        if queries is None:
            queries = self._all
        _offer(
            scores,
            first,
            queries,
            scores.shape[1] if num_scores is None else num_scores,
            self.width,
            self._scores,
            self._places,
            self._count,
            self._limit,
        )

    def take(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        """Scores [B, W], falling, and their places [B, W]; -inf and -1 where fewer were offered."""
        return _sorted(self._scores, self._places, self._count, self.width)


@kernel
def _offer(
    scores: Array,
    first: int,
    queries: Array,
    num_scores: int,
    width: int,
    kept: Array,
    places: Array,
    count: Array,
    limit: Array,
) -> None:
    whole = num_scores - num_scores % 64
    for row in range(queries.size):
        query = queries[row]
        least = limit[query]
        size = count[query]
        for start in range(0, num_scores, 64):
            stop = min(start + 64, num_scores)
            above = 1
            if start < whole:
                above = 0
                block = scores[row, start:stop]
                for at in range(64):  # a fixed length and no branch: compiled to vector code
                    above += block[at] > least
            if above == 0:
                continue
            for at in range(start, stop):
                score = scores[row, at]
                if score > least:
                    kept[query, size] = score
                    places[query, size] = first + at
                    size += 1
                    if size == kept.shape[1]:
                        least = _cut(kept[query], places[query], width)
                        size = width
        count[query] = size
        limit[query] = least


@kernel
def _cut(scores: Array, places: Array, width: int) -> float:
    """Bring the `width` largest scores to the front (quickselect); returns the least of them."""
    low = 0
    high = scores.size - 1
    while low < high:
        pivot = scores[(low + high) // 2]
        left = low
        right = high
        while left <= right:
            while scores[left] > pivot:
                left += 1
            while scores[right] < pivot:
                right -= 1
            if left <= right:
                scores[left], scores[right] = scores[right], scores[left]
                places[left], places[right] = places[right], places[left]
                left += 1
                right -= 1
        if width - 1 <= right:
            high = right
        elif width - 1 >= left:
            low = left
        else:
            break
    return scores[:width].min()


@kernel
def _sorted(kept: Array, places: Array, count: Array, width: int) -> tuple[Array, Array]:
    scores = np.full((kept.shape[0], width), -np.inf, np.float32)
    found = np.full((kept.shape[0], width), -1, np.int32)
    for query in range(kept.shape[0]):
        size = count[query]
        if size > width:
            if size < kept.shape[1]:
                kept[query, size:] = -np.inf
            _cut(kept[query], places[query], width)
            size = width
        order = np.argsort(-kept[query, :size])
        for at in range(size):
            scores[query, at] = kept[query, order[at]]
            found[query, at] = places[query, order[at]]
    return scores, found
