"""Lists of different lengths, one per row, in two arrays: neighbours, members of groups, matches, positives."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer[Any]]


class Csr(NamedTuple):
    """Row r's list is `indices[indptr[r] : indptr[r + 1]]`; `indptr` int64 [num_rows + 1], `indices` int [n].

    A plain pair of arrays: `indptr, indices = csr` works, in compiled kernels too, and both can be stored as they are.
    """

    indptr: npt.NDArray[np.int64]
    indices: IntArray

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Length of each row's list, int64 [num_rows]."""
        return np.diff(self.indptr)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The row of each entry of `indices`, int64 [n]."""
        return np.repeat(np.arange(len(self.indptr) - 1), self.sizes)

    def row(self, number: int) -> IntArray:
        """The list of one row."""
        return self.indices[self.indptr[number] : self.indptr[number + 1]]

    def places(self, rows: IntArray) -> Csr:
        """Where the entries of these rows are in `indices`, for what lies beside it; a row as often as it is given."""
        first = self.indptr[rows]
        indptr = row_starts(self.indptr[rows + 1] - first)
        return Csr(indptr, np.arange(indptr[-1]) + np.repeat(first - indptr[:-1], np.diff(indptr)))

    def take(self, rows: IntArray) -> Csr:
        """The lists of these rows, in their order."""
        indptr, places = self.places(rows)
        return Csr(indptr, self.indices[places])


def empty_csr(num_rows: int, dtype: npt.DTypeLike) -> Csr:
    """`num_rows` empty lists."""
    return Csr(np.zeros(num_rows + 1, np.int64), np.zeros(0, dtype))


def csr_of_pairs(rows: IntArray, columns: IntArray, num_rows: int) -> Csr:
    """The columns int64 of each row, ascending, from pairs (rows [n], columns [n])."""
    order = np.lexsort((columns, rows))
    sizes = np.bincount(rows, minlength=num_rows)
    return Csr(row_starts(sizes), columns[order].astype(np.int64))


def csr_of_mask(lists: IntArray, keep: npt.NDArray[np.bool_]) -> Csr:
    """Of each row's list in `lists` [num_rows, k] the entries where `keep` [num_rows, k], in their order."""
    return Csr(row_starts(keep.sum(axis=1)), lists[keep])


def mutual_entries(first: Csr, second: Csr) -> tuple[Csr, Csr]:
    """Of lists that point at each other's rows, the entries that are in both directions, in their order."""
    width = max(len(first.indptr), len(second.indptr))
    there = first.rows * width + first.indices
    back = second.indices.astype(np.int64) * width + second.rows
    return _entries(first, np.isin(there, back)), _entries(second, np.isin(back, there))


def _entries(lists: Csr, keep: npt.NDArray[np.bool_]) -> Csr:
    sizes = np.bincount(lists.rows[keep], minlength=len(lists.indptr) - 1)
    return Csr(row_starts(sizes), lists.indices[keep])


def row_starts(sizes: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """`indptr` of lists of these sizes."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
