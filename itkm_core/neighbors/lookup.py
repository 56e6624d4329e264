"""Rows of a table by their ids."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from itkm_core.errors import FeatureError, ItkmError

MAX_ID = int(np.iinfo(np.int64).max)


def as_int64(
    values: npt.NDArray[Any], what: str, error: type[ItkmError] = FeatureError
) -> npt.NDArray[np.int64]:
    """Integers as int64, which would turn those from 2**63 on negative. Raises `error` for them, naming them `what`."""
    large = values > np.uint64(MAX_ID) if values.dtype.kind == "u" else np.zeros(0, bool)
    if large.any():
        raise error(
            f"{what} go up to {values.max()}; expected integers that int64 can hold, up to {MAX_ID}"
        )
    return np.asarray(values, np.int64)


class Lookup:
    """Where ids are among those of a table, int [N], which may be in any order.

    `repeated`: ids that the table has more than once, ascending, once for each time too many.
    """

    def __init__(self, ids: npt.ArrayLike) -> None:
        there = np.asarray(ids)
        self._order = np.argsort(there, kind="stable")
        self._sorted = there[self._order]
        self.repeated = self._sorted[1:][self._sorted[1:] == self._sorted[:-1]]

    def find(self, wanted: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """The rows int64 [B] of the ids `wanted` [B], and whether each is there; the row of one that is not is 0."""
        asked: npt.NDArray[Any] = np.asarray(wanted)
        places = np.searchsorted(self._sorted, asked)
        found = places < len(self._sorted)
        found[found] = self._sorted[places[found]] == asked[found]
        rows = np.zeros(len(asked), np.int64)
        rows[found] = self._order[places[found]]
        return rows, found
