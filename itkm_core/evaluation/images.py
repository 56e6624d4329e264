"""One side of a retrieval, the queries or the gallery, as checked columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from itkm_core.errors import CorpusError
from itkm_core.evaluation.arrays import FloatArray, IntArray, as_features, as_integers, norms

JUNK = -1  # a gallery image to leave out; as a query's identity, unknown
DISTRACTOR = 0  # a gallery image of nobody who is queried, so always a wrong answer
UNKNOWN = -1  # a camera, or clothes, that equal no other


@dataclass(frozen=True, eq=False)
class Images:
    """N images. `features` [N, D] as given, `scale` float64 [N], one over each one's length; the others int64 [N]."""

    features: npt.NDArray[Any]
    scale: FloatArray
    persons: IntArray
    cameras: IntArray
    clothes: IntArray

    def __len__(self) -> int:
        return len(self.features)


def as_images(
    what: str,
    features: npt.ArrayLike,
    persons: npt.ArrayLike | None,
    cameras: npt.ArrayLike | None,
    clothes: npt.ArrayLike | None,
) -> Images:
    """Images from a caller's arrays, named `what` in errors. Without persons nobody is known (0); else -1 is unknown.

    Raises FeatureError for features that are not finite or of zero length; CorpusError for columns that do not fit.
    """
    vectors = as_features(features, what)

    def column(values: npt.ArrayLike | None, name: str, unknown: int) -> IntArray:
        if values is None:
            return np.full(len(vectors), unknown, np.int64)
        return as_integers(values, f"{what} {name}", CorpusError, len(vectors))

    return Images(
        vectors,
        1 / norms(vectors, what),
        column(persons, "ids", DISTRACTOR),
        column(cameras, "cameras", UNKNOWN),
        column(clothes, "clothes", UNKNOWN),
    )
