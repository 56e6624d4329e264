"""Rows that are equal to the last bit, found once, so that thousands of copies of one image cost little. [ours]"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from itkm_core.neighbors.csr import Csr, row_starts
from itkm_core.neighbors.kernels import Array, kernel


class Groups(NamedTuple):
    """Rows sorted into groups of equal rows; groups are numbered in order of their first row.

    `group` int32 [N]: the group of each row. `first` int64 [G]: its lowest row. `members`: the rows of each group,
    ascending, int32.
    """

    group: npt.NDArray[np.int32]
    first: npt.NDArray[np.int64]
    members: Csr


def group_equal_rows(rows: npt.NDArray[np.float32]) -> Groups:
    """Groups of equal rows of a finite float32 array [N, D] (0.0 and -0.0 are equal), N < 2^31."""
    width = rows.shape[1]
    start = np.arange(len(rows) + 1, dtype=np.int64) * width
    return group_equal_lists(Csr(start, np.zeros(0, np.int32)), rows.reshape(-1))


def group_equal_lists(columns: Csr, values: npt.NDArray[np.floating]) -> Groups:
    """Groups of equal rows of a sparse matrix; without `columns.indices` (length 0) all rows have the same columns."""
    hashes = _hash_rows(columns, values)
    by_hash = np.argsort(hashes, kind="stable")
    leader = _leaders(columns, values, hashes, by_hash)
    is_first = leader == np.arange(len(leader))
    number = np.cumsum(is_first) - 1
    group = number[leader].astype(np.int32)
    return _groups(group, np.flatnonzero(is_first).astype(np.int64))


def regrouped(groups: Groups, order: npt.NDArray[np.int32]) -> tuple[Groups, npt.NDArray[np.int64]]:
    """The same groups after renumbering rows (row i is now order[i]), and each group's new number [G]."""
    start, members = groups.members.indptr, order[groups.members.indices]
    first = np.minimum.reduceat(members, start[:-1]) if len(members) else members
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    group = np.empty(len(order), np.int32)
    group[order] = number[groups.group]
    return _groups(group, np.sort(first).astype(np.int64)), number


def _groups(group: npt.NDArray[np.int32], first: npt.NDArray[np.int64]) -> Groups:
    """From the number of each row's group, and each group's lowest row."""
    start = row_starts(np.bincount(group, minlength=len(first)))
    return Groups(group, first, Csr(start, np.argsort(group, kind="stable").astype(np.int32)))


@kernel
def _hash_rows(columns: Csr, values: Array) -> Array:
    start, indices = columns
    hashes = np.empty(start.size - 1, np.uint64)
    for row in range(hashes.size):
        mixed = np.uint64(1469598103934665603)
        for at in range(start[row], start[row + 1]):
            if indices.size:
                mixed = (mixed ^ np.uint64(indices[at])) * np.uint64(1099511628211)
            # Adding 0.0 turns -0.0 into 0.0; the quotient spreads small values over the integer range.
            number = np.int64((np.float64(values[at]) + 0.0) * 1.0e15)
            mixed = (mixed ^ np.uint64(number)) * np.uint64(1099511628211)
            mixed ^= mixed >> np.uint64(29)
        hashes[row] = mixed
    return hashes


@kernel
def _leaders(columns: Csr, values: Array, hashes: Array, by_hash: Array) -> Array:
    """The lowest row equal to each row. A run of equal hashes may hold different rows: each is compared."""
    leader = np.empty(by_hash.size, np.int64)
    run = np.empty(by_hash.size, np.int64)
    num_run = 0
    for position in range(by_hash.size):
        row = by_hash[position]
        if position == 0 or hashes[row] != hashes[by_hash[position - 1]]:
            num_run = 0
        leader[row] = row
        for index in range(num_run):
            if _equal(columns, values, row, run[index]):
                leader[row] = run[index]
                break
        if leader[row] == row:
            run[num_run] = row
            num_run += 1
    return leader


@kernel
def _equal(columns: Csr, values: Array, a: int, b: int) -> bool:
    start, indices = columns
    if start[a + 1] - start[a] != start[b + 1] - start[b]:
        return False
    for offset in range(start[a + 1] - start[a]):
        if values[start[a] + offset] != values[start[b] + offset]:
            return False
        if indices.size and indices[start[a] + offset] != indices[start[b] + offset]:
            return False
    return True
