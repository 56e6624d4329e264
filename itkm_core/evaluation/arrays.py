"""Arrays, torch tensors and lists from callers, as checked numpy arrays."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from itkm_core.errors import FeatureError, ItkmError
from itkm_core.neighbors.lookup import as_int64

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]


def as_features(values: npt.ArrayLike, what: str) -> npt.NDArray[Any]:
    """Features [N, D] in the float type they have. Raises FeatureError, naming them `what`."""
    try:
        array = _as_numpy(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise FeatureError(f"{what} features cannot be read as an array: {error}") from error
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind != "f":
        raise FeatureError(
            f"{what} features are {array.dtype} {list(array.shape)}, expected float [images, D]"
        )
    return array


def norms(features: npt.NDArray[Any], what: str) -> FloatArray:
    """Length of each row [N] in float64. Raises FeatureError for NaN, infinite and zero rows."""
    lengths = np.sqrt(np.einsum("nd,nd->n", features, features, dtype=np.float64))
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if len(bad):
        raise FeatureError(
            f"{len(bad)} of {len(features)} {what} features are NaN, infinite or all zero, "
            f"first at row {bad[0]}: extract them again"
        )
    return lengths


def as_integers(
    values: npt.ArrayLike, what: str, error: type[ItkmError], length: int | None = None
) -> IntArray:
    """Integers [N], -1 or more. Raises `error`, naming them `what`; also if N is not `length`."""
    array = _as_numpy(values)
    if array.ndim != 1 or (length is not None and len(array) != length):
        expected = "N" if length is None else length
        raise error(f"{what} have shape {list(array.shape)}, expected [{expected}], one per image")
    if len(array) and array.dtype.kind not in "iu":
        raise error(f"{what} are {array.dtype}, expected integers")
    array = as_int64(array, what, error)
    if len(array) and array.min() < -1:
        raise error(f"{what} go down to {array.min()}; -1 (outlier, junk, unknown) is the lowest")
    return array


def _as_numpy(values: Any) -> npt.NDArray[Any]:
    # A torch tensor may have a gradient or be on a device; this way torch is not imported.
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
