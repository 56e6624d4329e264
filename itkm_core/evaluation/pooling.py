"""The vectors of tracklets, from those of their images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from itkm_core.evaluation.arrays import FloatArray, IntArray

_ROWS_AT_ONCE = 65_536  # bounds the float64 copy


def sums_of(features: npt.NDArray[Any], rows: IntArray, number: IntArray, count: int) -> FloatArray:
    """The sum of each tracklet's features [count, D]: its direction, all that ranking looks at, is the mean's.

    rows: of `features`, one an image, int [N]. number: the tracklet of each image, 0 .. count-1.
    """
    sums = np.zeros((count, features.shape[1]))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        np.add.at(sums, number[part], features[rows[part]].astype(np.float64))
    return sums
