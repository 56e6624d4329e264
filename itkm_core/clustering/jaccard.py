"""The Jaccard distance between images as a sparse graph: only pairs within a distance are ever written down.

Suffixes: N images, T types (images whose encodings differ in no column that two images share).

d(i, j) = 1 - m / (2 - m), m = sum_k min(V_ik, V_jk) (Zhong et al., CVPR 2017, section 3.3, with rows that sum to 1).
Inverted lists give each image the images it shares a column with, so the cost is that of the overlaps, not N^2.
A column that only one image has adds nothing to any m; images equal in all other columns (copies of one image
beyond the first k1) have one row of the graph between them, so thousands of copies cost as much as one. [ours]
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.device import or_none, pairs_on_device
from itkm_core.clustering.encoding import encode
from itkm_core.neighbors.csr import Csr
from itkm_core.neighbors.equal_rows import Groups, group_equal_lists, regrouped
from itkm_core.neighbors.kernels import Array, kernel, span_in_blocks
from itkm_core.neighbors.sparse_rows import SparseRows, shared_columns, take
from itkm_core.neighbors.workers import Workers, joined_each

TIE_TOLERANCE = 1e-6
"""d <= eps + this counts as within eps: distances repeat exactly (d = 0.5), their float sums do not."""


class JaccardGraph(NamedTuple):
    """Pairs of types within `max_distance` (+ 1e-6), symmetric; kernels take the graph whole.

    `types`: the N images in T groups. `pairs`: the neighbours of each type, int32, ascending, itself not among them,
    with `distances` float64 beside them. `within` float64 [T]: distance between two different images of one type.
    """

    types: Groups
    pairs: Csr
    distances: npt.NDArray[np.float64]
    within: npt.NDArray[np.float64]
    max_distance: float


def jaccard_graph(
    rows: npt.NDArray[np.float32],
    lists: npt.NDArray[np.int32],
    *,
    k2: int,
    max_distance: float,
    workers: Workers,
) -> JaccardGraph:
    """All pairs of images within `max_distance` (below 1), from features [N, D] and lists L [N, k1].

    Exact, summed in float64; memory O(N k1) for V and its transpose plus 12 bytes a pair.
    """
    return graph_of(encode(rows, lists, k2, workers), max_distance, workers)


def graph_of(encoding: SparseRows, max_distance: float, workers: Workers) -> JaccardGraph:
    """As `jaccard_graph`, from the rows of V; types are in order of their first image, whatever V's order."""
    shared = shared_columns(encoding)
    types = group_equal_lists(shared.columns, shared.values)
    if len(types.first) < len(shared):
        shared = take(shared, types.first)
    mine = *shared.columns, shared.values
    threshold = max_distance + TIE_TOLERANCE
    found = None
    if workers.device is not None:
        found = or_none(pairs_on_device, *mine, len(encoding), threshold, workers.device)
    if found is None:  # no device, or none with the memory
        held = *mine, *_inverted_lists(*mine, len(encoding))
        arrays = [workers.share(array) for array in held]
        found = joined_each(workers.spans(_pairs_of_span, len(shared), 1, *arrays, threshold))
        del held, arrays
    sizes, later, distances = found
    start, neighbors, both = _both_directions(sizes, later, distances)
    mass = np.add.reduceat(np.append(shared.values, 0.0), shared.columns.indptr[:-1])
    mass[shared.columns.sizes == 0] = 0.0
    within = np.maximum(1 - mass / (2 - mass), 0)
    if encoding.order is None:
        return JaccardGraph(types, Csr(start, neighbors), both, within, max_distance)
    types, number = regrouped(types, encoding.order)
    start, neighbors, both = _renumbered(start, neighbors, both, number)
    return JaccardGraph(
        types, Csr(start, neighbors), both, within[np.argsort(number)], max_distance
    )


def _pairs_of_span(row_start: Array, *arguments: Any) -> tuple[Array, ...]:
    """`_later_within`, whose arguments it has, over the blocks of a span."""
    *held, start, stop, threads = arguments
    rows = len(row_start) - 1
    found: tuple[Array, ...] = span_in_blocks(
        _later_within, rows, start, stop, threads, row_start, *held
    )
    return found


@kernel
def _inverted_lists(
    row_start: Array, columns: Array, values: Array, num_columns: int
) -> tuple[Array, Array, Array, Array]:
    """The transpose: each column's rows (ascending) and values; and the place in it of each entry's successor."""
    start = np.zeros(num_columns + 1, np.int64)
    for column in columns:
        start[column + 1] += 1
    for column in range(num_columns):
        start[column + 1] += start[column]
    free = start[:-1].copy()
    next_place = np.empty(columns.size, np.int64)
    owners = np.empty(columns.size, np.int32)
    weights = np.empty(columns.size)
    for row in range(row_start.size - 1):
        for at in range(row_start[row], row_start[row + 1]):
            place = free[columns[at]]
            owners[place] = row
            weights[place] = values[at]
            free[columns[at]] = place + 1
            next_place[at] = place + 1
    return next_place, start, owners, weights


@kernel
def _later_within(
    row_start: Array,
    columns: Array,
    values: Array,
    next_place: Array,
    column_start: Array,
    owners: Array,
    weights: Array,
    threshold: float,
    start: int,
    stop: int,
) -> tuple[Array, Array, Array]:
    """For rows start..stop, the later rows within the threshold: sizes [B], rows (ascending), distances."""
    num_rows = row_start.size - 1
    sizes = np.empty(stop - start, np.int64)
    neighbors = np.empty(16 * (stop - start) + num_rows, np.int32)
    distances = np.empty(neighbors.size)
    overlap = np.zeros(num_rows)
    touched = np.empty(num_rows + 1, np.int32)
    end = 0
    for row in range(start, stop):
        num_touched = 0
        for at in range(row_start[row], row_start[row + 1]):
            value = values[at]
            for place in range(next_place[at], column_start[columns[at] + 1]):
                other = owners[place]
                before = overlap[other]
                touched[num_touched] = other
                num_touched += before == 0.0
                overlap[other] = before + min(value, weights[place])
        begin = end
        if neighbors.size < end + num_touched:
            neighbors = np.append(neighbors, np.empty(neighbors.size, np.int32))
            distances = np.append(distances, np.empty(distances.size))
        for other in touched[:num_touched]:
            if 1.0 - overlap[other] / (2.0 - overlap[other]) <= threshold:
                neighbors[end] = other
                end += 1
        neighbors[begin:end].sort()
        for at in range(begin, end):
            shared = overlap[neighbors[at]]
            distances[at] = max(1.0 - shared / (2.0 - shared), 0.0)
        for other in touched[:num_touched]:
            overlap[other] = 0.0
        sizes[row - start] = end - begin
    return sizes, neighbors[:end].copy(), distances[:end].copy()


@kernel
def _renumbered(
    start: Array, neighbors: Array, distances: Array, number: Array
) -> tuple[Array, Array, Array]:
    """The graph whose type t is now called number[t]; neighbours ascend again."""
    num_types = number.size
    old_of = np.empty(num_types, np.int64)
    for old in range(num_types):
        old_of[number[old]] = old
    new_start = np.zeros(num_types + 1, np.int64)
    for new in range(num_types):
        old = old_of[new]
        new_start[new + 1] = new_start[new] + start[old + 1] - start[old]
    new_neighbors = np.empty(neighbors.size, np.int32)
    new_distances = np.empty(distances.size)
    for new in range(num_types):
        first, last = start[old_of[new]], start[old_of[new] + 1]
        called = np.empty(last - first, np.int32)
        for at in range(first, last):
            called[at - first] = number[neighbors[at]]
        place = new_start[new]
        for at in np.argsort(called):
            new_neighbors[place] = called[at]
            new_distances[place] = distances[first + at]
            place += 1
    return new_start, new_neighbors, new_distances


@kernel
def _both_directions(sizes: Array, later: Array, distances: Array) -> tuple[Array, Array, Array]:
    """The symmetric CSR graph of one that names each pair once, at its earlier row."""
    start = np.zeros(sizes.size + 1, np.int64)
    for row in range(sizes.size):
        start[row + 1] = sizes[row]
    for other in later:
        start[other + 1] += 1
    for row in range(sizes.size):
        start[row + 1] += start[row]
    free = start[:-1].copy()
    neighbors = np.empty(2 * later.size, np.int32)
    both = np.empty(2 * later.size)
    stop = 0
    # Rows come in order, so a row's earlier neighbours are all in place before its own later ones.
    for row in range(sizes.size):
        begin, stop = stop, stop + sizes[row]
        for at in range(begin, stop):
            other = later[at]
            neighbors[free[row]] = other
            both[free[row]] = distances[at]
            free[row] += 1
            neighbors[free[other]] = row
            both[free[other]] = distances[at]
            free[other] += 1
    return start, neighbors, both
