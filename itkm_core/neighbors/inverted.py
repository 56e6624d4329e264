"""Approximate search in an inverted file: each query looks at the rows of the lists nearest to it. [ours]

Suffixes: U rows, Q queries, D dimensions, L lists, P probed lists, W candidates.

Rows belong to the list of their nearest centroid (spherical k-means). A query looks at the P lists whose centroids
are nearest to it. Thousands of queries are taken together, list by list: those that look at a list and the rows in
it are two blocks of vectors, and their scores one matrix product, where an index walks its lists query by query.
How many lists a query must look at is measured on a sample, not guessed (`probes_for`).

On CPUs of one kind, the result does not depend on who computes it; between kinds, float32 products differ in the last
bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from itkm_core.neighbors.csr import Csr, row_starts
from itkm_core.neighbors.kernels import Array, kernel, map_blocks
from itkm_core.neighbors.products import (
    BLOCK_QUERIES,
    TILE_ROWS,
    Product,
    Rows,
    products,
)
from itkm_core.neighbors.topk import Best
from itkm_core.neighbors.workers import Workers, joined

ITERATIONS = 8
SAMPLE_OF_A_LIST = 64
"""Rows a list that k-means sees; more move the centroids little. [ours]"""

TOGETHER = 16384
"""Queries taken together: enough that those that look at one list are a block. [ours]"""

AT_A_LIST = 2048
"""Of these, queries whose product with a list's rows is taken at once. [ours]"""

QUERIES_STEP, ROWS_STEP = 256, 128
"""Sizes of a product are multiples of these: oneDNN makes and keeps machine code for every new size. [ours]"""

Ints = npt.NDArray[np.int64]
Result = TypeVar("Result")


@dataclass(frozen=True)
class InvertedFile:
    """`centroids` float32 [L, D], and the `lists` of the rows nearest to each: int64 numbers of rows, as these came.
    `rows`: a copy of the rows in order of the lists."""

    centroids: Rows
    rows: Rows
    lists: Csr


def make_inverted_file(rows: Rows, workers: Workers, num_lists: int | None = None) -> InvertedFile:
    """The inverted file of unit rows [U, D]; 2 sqrt(U) lists unless told [ours]."""
    num_lists = min(num_lists or round(2 * len(rows) ** 0.5), len(rows))
    centroids = _k_means(rows, num_lists, workers)
    of_row = _nearest_centroid(rows, centroids, workers)
    order = np.argsort(of_row, kind="stable").astype(np.int64)
    start = row_starts(np.bincount(of_row, minlength=num_lists))
    return InvertedFile(centroids, rows[order], Csr(start, order))


def probes_for(
    file: InvertedFile, queries: Rows, neighbors: npt.NDArray[np.int32], recall: float
) -> tuple[int, float]:
    """The fewest lists P at which `recall` of the neighbours are found, and the share that is found at P.

    `queries` [Q, D] and their exact `neighbors` int32 [Q, k] among the rows. All lists find all.
    """
    num_lists = len(file.centroids)
    list_of = np.empty(len(file.rows), np.int64)
    list_of[file.lists.indices] = file.lists.rows
    order = np.argsort(-(queries @ file.centroids.T), axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(num_lists)[None], axis=1)
    needed = np.take_along_axis(place, list_of[neighbors], axis=1).ravel()
    found = np.cumsum(np.bincount(needed, minlength=num_lists)) / len(needed)
    probes = int(np.searchsorted(found, recall)) + 1
    return probes, float(found[probes - 1])


def search_inverted_file(
    queries: Rows,
    file: InvertedFile,
    num_probes: int,
    width: int,
    num_threads: int,
    use: Callable[[int, Rows, npt.NDArray[np.int32]], Result],
) -> list[Result]:
    """Propose `width` rows for each query [Q, D] from its `num_probes` nearest lists, as `search.search`.

    Where these hold fewer rows, the last candidates are -1, of score -inf.
    """
    list_start, numbers = file.lists
    with products() as product:

        def block(start: int, stop: int) -> Result:
            asking = queries[start:stop]
            probed = _nearest_lists(asking, file.centroids, num_probes, product)
            by_list, bounds = _by_list(probed, len(file.centroids))
            best = Best(len(asking), width)
            for each in np.flatnonzero(np.diff(bounds)):
                here = by_list[bounds[each] : bounds[each + 1]]
                first, last = int(list_start[each]), int(list_start[each + 1])
                for some in range(0, len(here), AT_A_LIST):
                    part = here[some : some + AT_A_LIST]
                    vectors = _padded(asking, part)
                    for tile in range(first, last, TILE_ROWS):
                        num = min(TILE_ROWS, last - tile)
                        # The rows of the next list are the padding of this one's.
                        rows = file.rows[tile : tile + _rounded(num, ROWS_STEP)]
                        best.offer(product(vectors, rows), tile, part, num)
            scores, found = best.take()
            return use(start, scores, np.where(found < 0, -1, numbers[found]).astype(np.int32))

        return map_blocks(block, len(queries), TOGETHER, num_threads)


def _rounded(number: int, step: int) -> int:
    return -(-number // step) * step


def _padded(queries: Rows, which: npt.NDArray[np.int32]) -> Rows:
    """`queries[which]` and zeros, up to a multiple of QUERIES_STEP."""
    padded = np.zeros((_rounded(len(which), QUERIES_STEP), queries.shape[1]), np.float32)
    np.take(queries, which, axis=0, out=padded[: len(which)])
    return padded


def _nearest_lists(
    queries: Rows, centroids: Rows, num_probes: int, product: Product
) -> npt.NDArray[np.int32]:
    """The lists each query looks at, int32 [Q, P]."""
    probed = []
    for start in range(0, len(queries), BLOCK_QUERIES):
        asking = queries[start : start + BLOCK_QUERIES]
        best = Best(len(asking), num_probes)
        for first in range(0, len(centroids), TILE_ROWS):
            best.offer(product(asking, centroids[first : first + TILE_ROWS]), first)
        probed.append(best.take()[1])
    return np.concatenate(probed)


@kernel
def _by_list(probed: Array, num_lists: int) -> tuple[Array, Array]:
    """Queries int32 in order of the lists they look at, and where each list's begin, int64 [L + 1]."""
    bounds = np.zeros(num_lists + 1, np.int64)
    for query in range(probed.shape[0]):
        for each in probed[query]:
            bounds[each + 1] += 1
    bounds = np.cumsum(bounds)
    free = bounds[:-1].copy()
    queries = np.empty(probed.size, np.int32)
    for query in range(probed.shape[0]):
        for each in probed[query]:
            queries[free[each]] = query
            free[each] += 1
    return queries, bounds


def _k_means(rows: Rows, num_lists: int, workers: Workers) -> Rows:
    """Unit centroids [L, D] of a sample of the rows, float32."""
    random = np.random.default_rng((len(rows), num_lists))
    sample = random.choice(len(rows), min(len(rows), SAMPLE_OF_A_LIST * num_lists), replace=False)
    points = rows[np.sort(sample)]
    centroids = points[np.sort(random.choice(len(points), num_lists, replace=False))]
    shared = workers.share(points)  # held, so that it is sent once
    for _ in range(ITERATIONS):
        own = _nearest_centroid(points, centroids, workers)
        order = np.argsort(own, kind="stable")
        sizes = np.bincount(own, minlength=num_lists)
        held = np.flatnonzero(sizes)  # a list that lost all its rows stays where it is
        firsts = (np.cumsum(sizes) - sizes)[held]
        sums = np.add.reduceat(points[order].astype(np.float64), firsts, axis=0)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centroids = centroids.copy()  # what has been shared does not change
        centroids[held] = sums / np.maximum(norms, 1e-12)
    del shared
    return centroids


def _nearest_centroid(rows: Rows, centroids: Rows, workers: Workers) -> npt.NDArray[np.int64]:
    """The centroid of largest product for each row, int64 [U]; the lower number among equals."""
    shared = workers.share(rows), workers.share(centroids)
    # Whole blocks of products: the last bits of a product can depend on its size.
    return joined(workers.spans(_nearest_of_span, len(rows), BLOCK_QUERIES, *shared))


def _nearest_of_span(
    rows: Rows, centroids: Rows, start: int, stop: int, threads: int
) -> npt.NDArray[np.int64]:
    asking = rows[start:stop]
    with products() as product:

        def block(start: int, stop: int) -> npt.NDArray[np.int64]:
            best = np.full(stop - start, -np.inf, np.float32)
            which = np.zeros(stop - start, np.int64)
            for first in range(0, len(centroids), TILE_ROWS):
                scores = product(asking[start:stop], centroids[first : first + TILE_ROWS])
                places = scores.argmax(axis=1)
                found = np.take_along_axis(scores, places[:, None], axis=1)[:, 0]
                which = np.where(found > best, places + first, which)
                best = np.maximum(best, found)
            return which

        return np.concatenate(map_blocks(block, len(asking), BLOCK_QUERIES, threads))
