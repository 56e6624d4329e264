"""Features without what their camera adds to all of them. [ours]

A camera's background, light and colour push all its images the same way. Subtracting each camera's mean feature
leaves more of the person: clusters split less by camera, and groups taken by different cameras come closer. Only
labelling and matching compare features this way; training and retrieval use them unchanged. docs/method.md shows the
gain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.centroids import sums_of
from itkm_core.errors import FeatureError

PRIOR_IMAGES = 8
"""A camera's mean is computed as if it had this many more images, at the mean of all: a camera with few images shows
few people, and its mean is more theirs than the camera's."""

_ROWS_AT_ONCE = 65_536  # bounds the float64 copy


@dataclass(frozen=True)
class CameraMeans:
    """`cameras` int64 [C], rising, their `means` float32 [C, D], and the mean of all images, `overall` float64 [D]."""

    cameras: npt.NDArray[np.int64]
    means: npt.NDArray[np.float32]
    overall: npt.NDArray[np.float64]


def without_camera(
    features: npt.NDArray[np.float32], cameras: npt.ArrayLike, *, prior: float = PRIOR_IMAGES
) -> npt.NDArray[np.float32]:
    """Unit rows minus the mean of their camera, normalised again.

    Args:
        features: float32 [N, D], unit rows of one (scenario, group).
        cameras: int [N]; images of unknown camera (-1) count as those of one camera.
        prior: see `PRIOR_IMAGES`; 0 takes the plain mean of each camera.

    Returns:
        float32 [N, D]. A row equal to its camera's mean has no direction left and stays unchanged.

    Raises:
        FeatureError: not one camera per feature.
    """
    return without_means(features, cameras, camera_means(features, cameras, prior=prior))


def camera_means(
    features: npt.NDArray[np.float32],
    cameras: npt.ArrayLike,
    *,
    known: CameraMeans | None = None,
    prior: float = PRIOR_IMAGES,
) -> CameraMeans:
    """The mean of each camera's features; the arguments as in `without_camera`.

    With `known`, for images that arrive later: known means stay, or what was compared by them would move, and the means
    of other cameras are drawn to the known mean of all.
    """
    found, row_of = np.unique(np.asarray(cameras), return_inverse=True)
    if features.ndim != 2 or row_of.shape != features.shape[:1]:
        raise FeatureError(
            f"features {features.shape} with cameras {row_of.shape}: expected [N, D] and [N]"
        )
    sums = sums_of(features, row_of, len(found))
    counts = np.bincount(row_of, minlength=len(found))[:, None]
    overall = sums.sum(axis=0) / max(len(features), 1) if known is None else known.overall
    means = ((sums + prior * overall) / (counts + prior)).astype(np.float32)
    if known is None:
        return CameraMeans(found.astype(np.int64), means, overall)
    fresh = ~np.isin(found, known.cameras)
    together = np.concatenate([known.cameras, found[fresh]])
    order = np.argsort(together)
    return CameraMeans(together[order], np.concatenate([known.means, means[fresh]])[order], overall)


def without_means(
    features: npt.NDArray[np.float32], cameras: npt.ArrayLike, known: CameraMeans
) -> npt.NDArray[np.float32]:
    """As `without_camera`, with the `known` means; every camera must be among them."""
    row_of = np.searchsorted(known.cameras, np.asarray(cameras))
    out = np.empty_like(features)
    for start in range(0, len(features), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        left = features[part] - known.means[row_of[part]]
        norms = np.linalg.norm(left, axis=1, keepdims=True)
        out[part] = np.where(norms > 1e-4, left / np.maximum(norms, 1e-4), features[part])
    return out
