"""Sparse matrices by rows, as the encoding V is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class SparseRows:
    """A CSR matrix: row i has `columns[start[i]:start[i+1]]` (ascending) with the `values` beside them.

    `order` int32 [N]: row and column i are those of image order[i]; None: of image i.
    """

    start: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int32]
    values: npt.NDArray[np.float64]
    order: npt.NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.start) - 1


def shared_columns(encoding: SparseRows) -> SparseRows:
    """The encoding without the columns that one row only has."""
    count = np.bincount(encoding.columns, minlength=len(encoding))
    keep = count[encoding.columns] > 1
    if keep.all():
        return encoding
    kept = np.concatenate([[0], np.cumsum(keep)])
    return SparseRows(kept[encoding.start], encoding.columns[keep], encoding.values[keep])


def take(rows: SparseRows, which: npt.NDArray[np.int64]) -> SparseRows:
    sizes = np.diff(rows.start)[which]
    start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    at = np.arange(start[-1]) + np.repeat(rows.start[which] - start[:-1], sizes)
    return SparseRows(start, rows.columns[at], rows.values[at])
