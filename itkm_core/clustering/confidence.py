"""How well the images of a cluster support each member. [ours]"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.dbscan import Clustering
from itkm_core.clustering.jaccard import TIE_TOLERANCE, JaccardGraph
from itkm_core.neighbors.csr import Csr
from itkm_core.neighbors.kernels import Array, kernel

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Members(NamedTuple):
    """The `clusters` int64 (ascending) that images of each type are in, and beside them the number of these images."""

    clusters: Csr
    num: Ints


def members(graph: JaccardGraph, labels: Ints, which: Flags) -> Members:
    """The images `which` bool [N], all of them in clusters, by type and cluster."""
    num_clusters = max(int(labels.max(initial=-1)) + 1, 1)
    keys = graph.types.group[which].astype(np.int64) * num_clusters + labels[which]
    found, num = np.unique(keys, return_counts=True)
    types, cluster = np.divmod(found, num_clusters)
    start = np.searchsorted(types, np.arange(len(graph.within) + 1))
    return Members(Csr(start.astype(np.int64), cluster), num.astype(np.int64))


def confidence(
    graph: JaccardGraph,
    clustering: Clustering,
    *,
    eps: float,
    which: Flags | None = None,
    frames: Ints | None = None,
) -> npt.NDArray[np.float32]:
    """Mean of 1 - d over a member's neighbours that are core images of its own cluster: float32 [N] in [0, 1].

    The image itself does not count. The only core image of a cluster is measured against the border images near it,
    and a cluster of one image has confidence 0, as an outlier has. On synthetic people this told wrong members from
    right ones more steadily than the nearest core image, the number of core neighbours or the share of the encoding's
    weight inside the cluster. `which` bool [N]: the images to measure; the others get 0. `frames` int64 [T], for a
    graph over units: the images of each unit of a type, which are at distance 0 of each other.
    """
    labels, is_core = clustering.labels, clustering.is_core
    inside = labels >= 0
    cores, others = members(graph, labels, is_core), members(graph, labels, inside & ~is_core)
    rows = np.flatnonzero(inside if which is None else inside & which)
    if frames is None:
        frames = np.ones(len(graph.within), np.int64)
    cores, others = (
        Members(each.clusters, each.num * frames[each.clusters.rows]) for each in (cores, others)
    )
    found: npt.NDArray[np.float32] = _mean_similarity(
        graph, eps + TIE_TOLERANCE, cores, others, rows, labels, is_core, frames
    )
    return found


@kernel
def _mean_similarity(
    graph: JaccardGraph,
    threshold: float,
    cores: Members,
    others: Members,
    rows: Array,
    labels: Array,
    is_core: Array,
    frames: Array,
) -> Array:
    """Confidence of the images `rows`, float32 [N]."""
    values = np.zeros(labels.size, np.float32)
    for row in rows:
        t = graph.types.group[row]
        own = frames[t] if is_core[row] else 0
        total, count = _sum_near(graph, threshold, cores, t, labels[row], own)
        if own > 1:
            total += own - 1
            count += own - 1
        if count == 0 and is_core[row]:
            total, count = _sum_near(graph, threshold, others, t, labels[row], 0)
        if count > 0:
            values[row] = min(total / count, 1.0)
    return values


@kernel
def _sum_near(
    graph: JaccardGraph, threshold: float, images: Members, t: int, label: int, own: int
) -> tuple[float, int]:
    """Sum of 1 - d over the `images` of a cluster that are near those of type t, and their number.

    `own`: how many of the type's are left out.
    """
    start, neighbors = graph.pairs
    total = 0.0
    count = 0
    if graph.within[t] <= threshold:
        count = _count(images, t, label) - own
        total = count * (1.0 - graph.within[t])
    for at in range(start[t], start[t + 1]):
        if graph.distances[at] <= threshold:
            near = _count(images, neighbors[at], label)
            total += near * (1.0 - graph.distances[at])
            count += near
    return total, count


@kernel
def _count(images: Members, of_type: int, label: int) -> int:
    start, clusters = images.clusters
    low, stop = start[of_type], start[of_type + 1]
    if stop - low > 1:
        low += np.searchsorted(clusters[low:stop], label)
    return images.num[low] if low < stop and clusters[low] == label else 0
