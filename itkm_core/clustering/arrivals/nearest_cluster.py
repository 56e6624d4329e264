"""Kernels: the cluster of the nearest images of types of images. [ours]"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from itkm_core.clustering.confidence import Members
from itkm_core.clustering.jaccard import JaccardGraph
from itkm_core.neighbors.kernels import Array, kernel


class Offers(NamedTuple):
    """Of each cluster, how near its nearest image is (float32 [C], -1: none) and how many are near (int64 [C]).

    `seen` int64 [C]: the clusters offered, as many as are counted beside it. Made once and cleared by `_pick`.
    """

    nearest: Array
    support: Array
    seen: Array


@kernel
def nearest_cluster(
    graph: JaccardGraph, threshold: float, wanted: Array, images: Members, first: Array
) -> Array:
    """The cluster of the nearest `images` within the threshold for each type `wanted` bool [T]; -1 for none.

    Among equally near ones (1 - d as float32) the one with more images there, then the one whose `first` [C] is lower.
    """
    start, neighbors = graph.pairs
    cluster_start, clusters = images.clusters
    found = np.full(wanted.size, -1, np.int64)
    offers = _no_offers(first.size)
    for t in range(wanted.size):
        if not wanted[t]:
            continue
        num_seen = 0
        # The type itself, then its neighbours.
        for at in range(start[t] - 1, start[t + 1]):
            itself = at < start[t]
            other = t if itself else neighbors[at]
            distance = graph.within[t] if itself else graph.distances[at]
            if distance > threshold:
                continue
            for entry in range(cluster_start[other], cluster_start[other + 1]):
                num_seen = _offer(offers, num_seen, clusters[entry], distance, images.num[entry])
        found[t] = _pick(offers, num_seen, first)
    return found


@kernel
def follow(
    graph: JaccardGraph, threshold: float, core: Array, num_new: Array, first: Array, cluster: Array
) -> None:
    """Core types near core types that are in a cluster follow them into it, one step after another.

    `core` bool [T], `num_new` int64 [T]: the new images of each type. `cluster` [T], changed in place. All types of a
    step choose by the steps before it: the order of types does not show.
    """
    start, neighbors = graph.pairs
    distances = graph.distances
    offers = _no_offers(first.size)
    reached = cluster >= 0
    last = np.flatnonzero(reached)
    while last.size:
        found = np.empty(core.size, np.int64)
        size = 0
        for t in last:
            for at in range(start[t], start[t + 1]):
                other = neighbors[at]
                if core[other] and not reached[other] and distances[at] <= threshold:
                    reached[other] = True
                    found[size] = other
                    size += 1
        last = found[:size].copy()
        chosen = np.empty(size, np.int64)
        for place in range(size):
            t = last[place]
            num_seen = 0
            for at in range(start[t], start[t + 1]):
                other = neighbors[at]
                if core[other] and cluster[other] >= 0 and distances[at] <= threshold:
                    num_seen = _offer(
                        offers, num_seen, cluster[other], distances[at], num_new[other]
                    )
            chosen[place] = _pick(offers, num_seen, first)
        for place in range(size):
            cluster[last[place]] = chosen[place]


@kernel
def _no_offers(num_clusters: int) -> Offers:
    return Offers(
        np.full(num_clusters, -1, np.float32),
        np.zeros(num_clusters, np.int64),
        np.empty(num_clusters, np.int64),
    )


@kernel
def _offer(offers: Offers, num_seen: int, cluster: int, distance: float, count: int) -> int:
    if offers.support[cluster] == 0:
        offers.seen[num_seen] = cluster
        num_seen += 1
    offers.support[cluster] += count
    # Equal distances whose float64 sums differ in the last bits must tie, also those close to 0: so float32, of 1 - d.
    offers.nearest[cluster] = max(offers.nearest[cluster], np.float32(1.0 - distance))
    return num_seen


@kernel
def _pick(offers: Offers, num_seen: int, first: Array) -> int:
    """The best of the clusters offered, -1 for none; clears the offers."""
    nearest, support, seen = offers
    best = -1
    for each in seen[:num_seen]:
        if (
            best < 0
            or nearest[each] > nearest[best]
            or (
                nearest[each] == nearest[best]
                and (
                    support[each] > support[best]
                    or (support[each] == support[best] and first[each] < first[best])
                )
            )
        ):
            best = each
    for each in seen[:num_seen]:
        nearest[each] = -1
        support[each] = 0
    return best
