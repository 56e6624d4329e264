"""Sparse matrices by rows, as the encoding V is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itkm_core.neighbors.csr import Csr


@dataclass(frozen=True)
class SparseRows:
    """A sparse matrix: the `columns` int32 of each row (ascending), with the `values` of the entries beside them.

    `order` int32 [N]: row and column i are those of image order[i]; None: of image i.
    """

    columns: Csr
    values: npt.NDArray[np.float64]
    order: npt.NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.columns.indptr) - 1


def shared_columns(encoding: SparseRows) -> SparseRows:
    """The encoding without the columns that only one row has."""
    start, columns = encoding.columns
    keep = np.bincount(columns, minlength=len(encoding))[columns] > 1
    if keep.all():
        return encoding
    kept = np.concatenate([[0], np.cumsum(keep)])
    return SparseRows(Csr(kept[start], columns[keep]), encoding.values[keep])


def take(rows: SparseRows, which: npt.NDArray[np.int64]) -> SparseRows:
    """The rows `which`, in their order."""
    start, places = rows.columns.places(which)
    return SparseRows(Csr(start, rows.columns.indices[places]), rows.values[places])
