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
    graph: JaccardGraph, clustering: Clustering, *, eps: float, which: Flags | None = None
) -> npt.NDArray[np.float32]:
    """Mean of 1 - d over a member's neighbours that are core images of its own cluster: float32 [N] in [0, 1].

    The image itself does not count. The only core image of a cluster is measured against the border images near it,
    and a cluster of one image has confidence 0, as an outlier has. On made-up people this told wrong members from
    right ones more steadily than the nearest core image, the number of core neighbours or the share of the encoding's
    weight inside the cluster. `which` bool [N]: the images to measure; the others get 0.
    """
    labels, is_core = clustering.labels, clustering.is_core
    inside = labels >= 0
    rows = np.flatnonzero(inside if which is None else inside & which)
    # Images of one type that are alike in cluster and kind have one confidence.
    types = graph.types.group[rows].astype(np.int64)
    alike = (types * (labels.max(initial=-1) + 1) + labels[rows]) * 2 + is_core[rows]
    _, example, of_row = np.unique(alike, return_index=True, return_inverse=True)
    one_of_each = types[example], labels[rows[example]], is_core[rows[example]]
    cores, others = members(graph, labels, is_core), members(graph, labels, inside & ~is_core)
    found = np.zeros(len(labels), np.float32)
    found[rows] = _mean_similarity(graph, eps + TIE_TOLERANCE, cores, others, *one_of_each)[of_row]
    return found


@kernel
def _mean_similarity(
    graph: JaccardGraph,
    threshold: float,
    cores: Members,
    others: Members,
    types: Array,
    labels: Array,
    is_core: Array,
) -> Array:
    """Confidence, float32 [P], of images of `types` in the clusters `labels`."""
    start, neighbors = graph.pairs
    values = np.zeros(types.size, np.float32)
    for p in range(types.size):
        t = types[p]
        core_sum = 0.0
        core_count = 0
        border_sum = 0.0
        border_count = 0
        # The type itself, then its neighbours.
        for at in range(start[t] - 1, start[t + 1]):
            itself = at < start[t]
            other = t if itself else neighbors[at]
            distance = graph.within[t] if itself else graph.distances[at]
            if distance > threshold:
                continue
            core = _count(cores, other, labels[p])
            border = _count(others, other, labels[p])
            if itself and is_core[p]:
                core -= 1
            core_sum += core * (1.0 - distance)
            core_count += core
            border_sum += border * (1.0 - distance)
            border_count += border
        if core_count > 0:
            values[p] = min(core_sum / core_count, 1.0)
        elif is_core[p] and border_count > 0:
            values[p] = min(border_sum / border_count, 1.0)
    return values


@kernel
def _count(images: Members, of_type: int, label: int) -> int:
    start, clusters = images.clusters
    low, stop = start[of_type], start[of_type + 1]
    if stop - low > 1:
        low += np.searchsorted(clusters[low:stop], label)
    return images.num[low] if low < stop and clusters[low] == label else 0
