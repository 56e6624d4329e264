"""The mean features of clusters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from itkm_core.errors import FeatureError, LabelError

_ROWS_AT_ONCE = 65_536  # bounds the float64 copy


def cluster_means(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Normalised mean feature of each cluster, float32 [K, D]; outliers are left out (docs/definition.md, "Stage I").

    Args:
        features: float32 [N, D].
        labels: int [N], 0 .. K-1 or -1 for an outlier; K may be 0.

    Raises:
        FeatureError: not one feature per label.
        LabelError: cluster numbers with gaps.
    """
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise FeatureError(
            f"features {features.shape} with labels {labels.shape}: expected [N, D] and [N]"
        )
    sizes = np.bincount(labels[labels >= 0])
    if not sizes.all():
        raise LabelError(
            f"{len(sizes)} clusters, {int((sizes == 0).sum())} of them without an image: expected cluster numbers "
            "0 .. K-1 without gaps"
        )
    sums = sums_of(features, labels, len(sizes))
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(sums / np.maximum(norms, 1e-12), np.float32)


def sums_of(features: np.ndarray, number: np.ndarray, count: int) -> npt.NDArray[np.float64]:
    """The sum of the rows with each `number` int [N], float64 [count, D], in order of the rows; below 0: in no sum."""
    sums = np.zeros((count, features.shape[1]), np.float64)
    for start in range(0, len(features), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        inside = number[part] >= 0
        np.add.at(sums, number[part][inside], features[part][inside].astype(np.float64))
    return sums
