"""k-reciprocal re-ranking on sparse arrays: no array of (Q + G)^2, none of Q x G beyond a block of queries.

Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017, as in its official code
(github.com/zhunzhong07/person-re-ranking): squared distances are divided by each image's largest before its softmax and
before they are added (eq. 7 and 12 have them as they are), and an image is in its own list beside its k1 neighbours.

Shapes: Q queries, G gallery images, N = Q + those of the gallery that are not junk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from itkm_core.evaluation.arrays import FloatArray
from itkm_core.evaluation.cosines import Cosines
from itkm_core.evaluation.images import JUNK, Images
from itkm_core.neighbors.kernels import Array, kernel, thread_count
from itkm_core.neighbors.nearest import nearest, nearest_across
from itkm_core.neighbors.reciprocal import encode_on_host
from itkm_core.neighbors.similarity import listed_cosines
from itkm_core.neighbors.sparse_rows import SparseRows, take
from itkm_core.neighbors.workers import Threads

_ROWS = 8192  # in float64 at a time


@dataclass(frozen=True, eq=False)
class Reranked:
    """One minus the final distance of queries and gallery images, a block of queries at a time.

    `encoded`: V of the queries. `start` int64 [N + 1], `owners` int32, `weights` float64: the gallery images with an
    entry in each column of V, and the entries. `reach` float64 [Q]: each query's largest squared distance. `kept`: the
    share of the original distance.
    """

    cosines: Cosines
    encoded: SparseRows
    start: Array
    owners: npt.NDArray[np.int32]
    weights: FloatArray
    reach: FloatArray
    kept: float

    def block(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        found = np.zeros((stop - start, len(self.cosines.gallery)))
        columns, values = self.encoded.columns, self.encoded.values
        _add_overlaps(*columns, values, self.start, self.owners, self.weights, start, found)
        np.divide(found, 2 - found, out=found)  # one minus the Jaccard distance
        found *= 1 - self.kept
        reach = self.reach[start:stop, None]
        for tile, cosines in self.cosines.tiles(start, stop):
            found[:, tile] += self.kept * (1 - (2 - 2 * cosines) / reach)
        return found.astype(np.float32)


def rerank(query: Images, gallery: Images, k1: int, k2: int, kept: float) -> Reranked:
    """Scores of re-ranking. Junk is no one's neighbour; all other images are, whatever the rules leave out.

    Neighbours are exact, from 200,000 images on approximate, as in `nearest`. Where there are fewer than
    k1 or k2, all count.
    """
    inside = np.flatnonzero(gallery.persons != JUNK)
    num_query = len(query)
    rows = np.concatenate([_unit(query, np.arange(num_query)), _unit(gallery, inside)])
    workers = Threads(thread_count())
    width = min(k1 + 1, len(rows))
    lists = nearest(rows, width, workers=workers).indices
    reach = _reach(rows, workers)
    half = round(k1 / 2) + 1  # half to even, as numpy.around
    encoding = encode_on_host(rows, lists, min(k2, width), workers, half, reach)
    del lists
    place = np.argsort(np.arange(len(rows)) if encoding.order is None else encoding.order)
    of_gallery = take(encoding, place[num_query:])
    start, columns = of_gallery.columns
    shape = (len(inside), len(rows))
    by_column = csr_array((of_gallery.values, columns, start), shape=shape).tocsc()
    ones = np.ones(max(num_query, len(gallery)))
    return Reranked(
        Cosines(rows[:num_query], ones, _unit(gallery, np.arange(len(gallery))), ones),
        take(encoding, place[:num_query]),
        by_column.indptr.astype(np.int64),
        inside[by_column.indices].astype(np.int32),
        by_column.data.astype(np.float64),
        reach[:num_query],
        kept,
    )


def _unit(images: Images, which: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """These images' features, of unit length in float32."""
    rows = np.empty((len(which), images.features.shape[1]), np.float32)
    for begin in range(0, len(which), _ROWS):
        part = which[begin : begin + _ROWS]
        rows[begin : begin + _ROWS] = images.features[part] * images.scale[part, None]
    return rows


def _reach(rows: npt.NDArray[np.float32], workers: Threads) -> FloatArray:
    """The largest squared distance of each row from another, 2 - 2 cos, float64 [N]; 1 where all rows are equal."""
    farthest = nearest_across(-rows, rows, 1, workers=workers).indices
    least = listed_cosines(rows, rows, farthest, 0, len(rows))[:, 0]
    distance = 2 - 2 * least
    return np.where(distance > 0, distance, 1.0)


@kernel
def _add_overlaps(
    row_start: Array,
    columns: Array,
    values: Array,
    start: Array,
    owners: Array,
    weights: Array,
    first: int,
    found: Array,
) -> None:
    """Adds to `found` float64 [B, G] what the queries first, first + 1, ... share with each image of the gallery."""
    for at in range(found.shape[0]):
        for entry in range(row_start[first + at], row_start[first + at + 1]):
            value = values[entry]
            for place in range(start[columns[entry]], start[columns[entry] + 1]):
                found[at, owners[place]] += min(value, weights[place])
