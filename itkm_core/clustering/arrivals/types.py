"""Kernels: what is near new core images in a graph over types of images. [ours]"""

from __future__ import annotations

import numpy as np

from itkm_core.clustering.confidence import Members
from itkm_core.clustering.jaccard import JaccardGraph
from itkm_core.neighbors.kernels import Array, kernel


@kernel
def types_near(graph: JaccardGraph, threshold: float, core: Array) -> Array:
    """Types, bool [T], whose images are within the threshold of an image of the types `core` bool [T]."""
    start, neighbors = graph.pairs
    near = core & (graph.within <= threshold)
    for t in np.flatnonzero(core):
        for at in range(start[t], start[t + 1]):
            if graph.distances[at] <= threshold:
                near[neighbors[at]] = True
    return near


@kernel
def touching_clusters(
    graph: JaccardGraph, threshold: float, images: Members, others: Members
) -> Array:
    """Pairs [P, 2] of different clusters, lower first, of `images` and of the `others` near them; with repeats."""
    start, neighbors = graph.pairs
    own_start, own = images.clusters
    cluster_start, clusters = others.clusters
    pairs = np.empty((64, 2), np.int64)
    size = 0
    for t in range(graph.within.size):
        for mine in own[own_start[t] : own_start[t + 1]]:
            for at in range(start[t] - 1, start[t + 1]):
                itself = at < start[t]
                other = t if itself else neighbors[at]
                if (graph.within[t] if itself else graph.distances[at]) > threshold:
                    continue
                for theirs in clusters[cluster_start[other] : cluster_start[other + 1]]:
                    if theirs != mine:
                        if size == len(pairs):
                            pairs = np.concatenate((pairs, np.empty_like(pairs)))
                        pairs[size, 0] = min(mine, theirs)
                        pairs[size, 1] = max(mine, theirs)
                        size += 1
    return pairs[:size].copy()
