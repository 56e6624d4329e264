"""The check every feature matrix passes before anything is computed from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from itkm_core.errors import FeatureError

UNIT_TOLERANCE = 1e-3
"""A row counts as unit-norm within this: rows stored as float16 are off by about 1e-4. [ours]"""


def unit_rows(features: Any) -> npt.NDArray[np.float32]:
    """`features` as a C-contiguous float32 array [N, D] of finite rows of unit norm.

    float64, float16 and non-contiguous inputs are converted (a copy); a float32 contiguous one is returned as
    it is. Norms are checked to 1e-3 and not corrected. N = 0 is allowed.

    Raises FeatureError for anything but a real floating [N, D] array, and for rows that hold NaN or infinity or
    are not of unit norm, naming the first such row and their number.
    """
    array = np.asarray(features)
    if array.ndim != 2 or (array.shape[1] == 0 and array.shape[0] > 0):
        raise FeatureError(
            f"features have shape {array.shape}; expected [num_images, dimension], one row an image"
        )
    if not np.issubdtype(array.dtype, np.floating):
        raise FeatureError(
            f"features have dtype {array.dtype}; expected float32 (float16 and float64 are converted)"
        )
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(array, dtype=np.float32)
        squared = np.einsum("nd,nd->n", rows, rows)
    # A finite row may overflow when squared; only rows whose norm is not finite need the closer look.
    suspects = np.flatnonzero(~np.isfinite(squared))
    _refuse(suspects[~np.isfinite(rows[suspects]).all(axis=1)], len(rows), "hold NaN or infinity")
    norms = np.sqrt(squared)
    off = np.flatnonzero(~(np.abs(norms - 1) <= UNIT_TOLERANCE))
    shown = f" (norm {norms[off[0]]:.6g})" if len(off) else ""
    _refuse(off, len(rows), "are not of unit norm", shown, "divide each row by its norm")
    return rows


def _refuse(
    bad: npt.NDArray[np.intp],
    num_rows: int,
    fault: str,
    shown: str = "",
    advice: str = "look at the images or the encoder that made them",
) -> None:
    if len(bad):
        raise FeatureError(
            f"{len(bad)} of {num_rows} feature rows {fault}, the first is row {bad[0]}{shown}; "
            f"expected finite rows of unit norm: {advice}"
        )
