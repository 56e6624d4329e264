"""Cosines of queries and a gallery, a block of queries at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from itkm_core.evaluation.arrays import FloatArray

_TILE = 4096  # gallery rows in float64 at a time


class Scores(Protocol):
    """What a gallery is ranked by: more is more alike."""

    def block(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Finite scores [B, G] of queries start..stop, in an array that the caller may change."""
        ...


@dataclass(frozen=True, eq=False)
class Cosines:
    """Of features [Q, D] and [G, D], with one over each row's length beside them.

    Summed in float64 and rounded to float32: in a float32 matrix product, two copies of one image get different sums
    depending on where they fall in its blocks; rounded from float64 they tie, whatever the block and the BLAS. [ours]
    """

    query: npt.NDArray[Any]
    query_scale: FloatArray
    gallery: npt.NDArray[Any]
    gallery_scale: FloatArray

    def tiles(self, start: int, stop: int) -> Iterator[tuple[slice, FloatArray]]:
        """Cosines of queries start..stop in float64, by tiles of the gallery: no float64 copy of all of it."""
        asking = self.query[start:stop] * self.query_scale[start:stop, None]
        for begin in range(0, len(self.gallery), _TILE):
            tile = slice(begin, begin + _TILE)
            yield tile, asking @ (self.gallery[tile] * self.gallery_scale[tile, None]).T

    def block(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        found = np.empty((stop - start, len(self.gallery)), np.float32)
        for tile, cosines in self.tiles(start, stop):
            found[:, tile] = cosines
        return found
