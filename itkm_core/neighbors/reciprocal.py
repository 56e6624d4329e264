"""Rows V of the k-reciprocal encoding: which images describe image i, and with what weight.

Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017: R(i, k) and its
expansion are section 3.2, local query expansion section 3.4; weights are a softmax over the set, as the unsupervised
ReID literature has them, in place of the Gaussian of section 3.3. A row is a few dozen of N columns, kept as CSR:
`start` int64 [N+1], `columns` int32 [nnz] ascending in each row, `values` float64 [nnz].
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from itkm_core.neighbors.csr import Csr, row_starts
from itkm_core.neighbors.kernels import Array, kernel, span_in_blocks
from itkm_core.neighbors.similarity import softmax_rows
from itkm_core.neighbors.sparse_rows import SparseRows
from itkm_core.neighbors.workers import Workers, joined, joined_each

NEAREST_FEW = 8


def encode_on_host(
    rows: npt.NDArray[np.float32],
    lists: npt.NDArray[np.int32],
    k2: int,
    workers: Workers,
    half: int | None = None,
    reach: npt.NDArray[np.float64] | None = None,
) -> SparseRows:
    """V of docs/definition.md, "Pseudo-labels", steps 2 and 3, on the workers' CPUs.

    `rows` float32 [N, D], `lists` int32 [N, k1], 1 <= k2 <= k1. `half`: list entries that make the smaller sets of the
    expansion; None: those of the definition. `reach` float64 [N]: what each image's distances are divided by before
    the softmax; None: 1.

    Rows are reordered (`SparseRows.order`) so that images with common neighbours are side by side: what one row needs
    is then mostly what the previous one needed, which at 300,000 images halves the time of this step and of the graph.
    """
    num_rows, k1 = lists.shape
    order = order_by_neighbors(lists)
    place = np.empty(num_rows, np.int32)
    place[order] = np.arange(num_rows, dtype=np.int32)
    lists = place[lists[order]]
    # Python rounds half to even, as the definition does.
    half = min(round(k1 / 2) + 1 if half is None else half, k1)
    ranked = workers.share(lists)
    back = joined(workers.spans(_ranks_of_span, num_rows, 1, ranked))
    sets = workers.spans(_sets_of_span, num_rows, 1, ranked, workers.share(back), half)
    sizes, columns = joined_each(sets)
    del sets, back
    start = row_starts(sizes)
    where = workers.share(start), workers.share(columns)
    reach = np.ones(num_rows) if reach is None else reach
    images = workers.share(rows), workers.share(reach), workers.share(order)
    values = joined(workers.spans(_weights_of_span, num_rows, 1, *images, *where))
    if k2 == 1:
        return SparseRows(Csr(start, columns), values, order)
    means = workers.spans(_means_of_span, num_rows, 1, *where, workers.share(values), ranked, k2)
    sizes, columns, values = joined_each(means)
    return SparseRows(Csr(row_starts(sizes), columns), values, order)


def order_by_neighbors(lists: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Images sorted by the lowest image among the nearest few of each, int32 [N]; `lists` int32 [N, k1]. [ours]

    Where the nearest few are mostly of one person, so are images side by side. A function of the lists alone.
    """
    lowest = lists[:, :NEAREST_FEW].min(axis=1)
    return np.argsort(lowest, kind="stable").astype(np.int32)


def _ranks_of_span(lists: Array, start: int, stop: int, threads: int) -> Array:
    return span_in_blocks(_ranks_in_return, len(lists), start, stop, threads, lists)


def _sets_of_span(
    lists: Array, back: Array, half: int, start: int, stop: int, threads: int
) -> tuple[Array, ...]:
    return span_in_blocks(_expanded_sets, len(lists), start, stop, threads, lists, back, half)


def _weights_of_span(
    rows: Array,
    reach: Array,
    order: Array,
    row_start: Array,
    columns: Array,
    start: int,
    stop: int,
    threads: int,
) -> Array:
    arguments = rows, reach, order, row_start, columns
    return span_in_blocks(softmax_rows, len(rows), start, stop, threads, *arguments)


def _means_of_span(
    row_start: Array,
    columns: Array,
    values: Array,
    lists: Array,
    k2: int,
    start: int,
    stop: int,
    threads: int,
) -> tuple[Array, ...]:
    """Each row becomes the mean of the rows of its first k2 list entries."""
    arguments = row_start, columns, values, lists, k2
    return span_in_blocks(_mean_rows, len(lists), start, stop, threads, *arguments)


@kernel
def _ranks_in_return(lists: Array, start: int, stop: int) -> Array:
    """[i, a]: the place of i in the list of its a-th neighbour, or k1 where it is not in it."""
    k1 = lists.shape[1]
    ranks = np.full((stop - start, k1), k1, np.int32)
    for row in range(start, stop):
        for a in range(k1):
            neighbor = lists[row, a]
            for b in range(k1):
                if lists[neighbor, b] == row:
                    ranks[row - start, a] = b
                    break
    return ranks


@kernel
def _expanded_sets(
    lists: Array, back: Array, half: int, start: int, stop: int
) -> tuple[Array, Array]:
    """Sizes [B] and columns of the expanded R(i, k1); `half` list entries make R(j, h)."""
    k1 = lists.shape[1]
    sizes = np.empty(stop - start, np.int64)
    columns = np.empty((stop - start) * 2 * k1 + k1 * (half + 1), np.int32)
    # 2i + 1 marks R(i, k1), 2i + 2 what the expansion added: no clearing from row to row.
    mark = np.zeros(lists.shape[0], np.int64)
    end = 0
    for row in range(start, stop):
        begin = end
        if columns.size < end + k1 * (half + 1):
            columns = np.append(columns, np.empty(columns.size, np.int32))
        for a in range(k1):
            if back[row, a] < k1:
                mark[lists[row, a]] = 2 * row + 1
                columns[end] = lists[row, a]
                end += 1
        for at in range(begin, end):
            candidate = columns[at]
            size = 0
            shared = 0
            for b in range(half):
                if back[candidate, b] < half:
                    size += 1
                    shared += mark[lists[candidate, b]] == 2 * row + 1
            if 3 * shared > 2 * size:
                for b in range(half):
                    other = lists[candidate, b]
                    if back[candidate, b] < half and mark[other] < 2 * row + 1:
                        mark[other] = 2 * row + 2
                        columns[end] = other
                        end += 1
        columns[begin:end].sort()
        sizes[row - start] = end - begin
    return sizes, columns[:end].copy()


@kernel
def _mean_rows(
    row_start: Array, columns: Array, values: Array, lists: Array, k2: int, start: int, stop: int
) -> tuple[Array, Array, Array]:
    sizes = np.empty(stop - start, np.int64)
    room = 0
    for row in range(start, stop):
        for a in range(k2):
            room += row_start[lists[row, a] + 1] - row_start[lists[row, a]]
    out_columns = np.empty(room, np.int32)
    out_values = np.empty(room)
    total = np.zeros(row_start.size - 1)
    end = 0
    for row in range(start, stop):
        begin = end
        for a in range(k2):
            for at in range(row_start[lists[row, a]], row_start[lists[row, a] + 1]):
                column = columns[at]
                if total[column] == 0.0:
                    out_columns[end] = column
                    end += 1
                total[column] += values[at]
        out_columns[begin:end].sort()
        for at in range(begin, end):
            out_values[at] = total[out_columns[at]] / k2
            total[out_columns[at]] = 0.0
        sizes[row - start] = end - begin
    return sizes, out_columns[:end].copy(), out_values[:end].copy()
