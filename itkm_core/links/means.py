"""One vector for each unit: the mean of its images' features, odd images left out. [ours]

A tracker's box may drift to another person for some frames, or lose the person for a background. An image is odd if
its cosine similarity to the unit's mean lies more than ODD median absolute deviations (as standard deviations of a
normal distribution, 1.4826 of them) below the median; in units of fewer than FEW images none is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from itkm_core.neighbors.kernels import Array, kernel
from itkm_core.neighbors.products import readable

ODD, FEW = 3.0, 4


def unit_vectors(
    features: npt.NDArray[np.float32], unit_of: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Unit-norm float32 [U, D] from unit rows float32 [N, D] and the unit of each image, int64 [N], 0..U-1, none empty.

    A unit of one image keeps its vector to the last bit. Sums are of float64, in the order of the rows.
    """
    num = int(unit_of.max(initial=-1)) + 1
    order = np.argsort(unit_of, kind="stable")
    start = np.searchsorted(unit_of[order], np.arange(num + 1))
    means = np.empty((num, features.shape[1]), np.float32)
    _means(readable(features), order, start, means)
    return means


@kernel
def _means(features: Array, order: Array, start: Array, means: Array) -> None:
    width = features.shape[1]
    total = np.empty(width)
    for unit in range(start.size - 1):
        rows = order[start[unit] : start[unit + 1]]
        if rows.size == 1:
            means[unit] = features[rows[0]]
            continue
        kept = np.ones(rows.size, np.bool_)
        _sum(features, rows, kept, total)
        if rows.size >= FEW:
            near = np.empty(rows.size)
            norm = np.sqrt(np.sum(total * total))
            for at in range(rows.size):
                dot = 0.0
                for column in range(width):
                    dot += features[rows[at], column] * total[column]
                near[at] = dot / norm if norm > 0 else 0.0
            middle = _median(near)
            reach = ODD * 1.4826 * _median(np.abs(near - middle))
            # Equal similarities differ in their last bits, and none of these is odd.
            kept = near >= middle - reach - 1e-6
            _sum(features, rows, kept, total)
        norm = np.sqrt(np.sum(total * total))
        if norm > 0:
            means[unit] = total / norm
        else:  # opposite vectors: any of them is as good
            means[unit] = features[rows[0]]


@kernel
def _median(values: Array) -> float:
    ordered = values.copy()
    ordered.sort()
    return 0.5 * (ordered[(values.size - 1) // 2] + ordered[values.size // 2])


@kernel
def _sum(features: Array, rows: Array, kept: Array, total: Array) -> None:
    total[:] = 0.0
    for at in range(rows.size):
        if kept[at]:
            for column in range(total.size):
                total[column] += features[rows[at], column]
