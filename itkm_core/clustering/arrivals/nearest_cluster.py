"""Kernels: the cluster of the nearest images of types of images. [ours]

Both take the graph over T types (`start`, `neighbors`, `distances`, `within`) and the `threshold`, eps + 1e-6, first.
"""

from __future__ import annotations

import numpy as np

from itkm_core.neighbors.kernels import Array, kernel


@kernel
def nearest_cluster(
    start: Array,
    neighbors: Array,
    distances: Array,
    within: Array,
    threshold: float,
    wanted: Array,
    cluster_start: Array,
    cluster: Array,
    count: Array,
    first: Array,
) -> Array:
    """The cluster of the nearest images within the threshold for each type `wanted` bool [T]; -1 for none.

    Among equally near ones (1 - d as float32) the one with more images there, then the one whose `first` [C] is lower.
    """
    found = np.full(wanted.size, -1, np.int64)
    nearest = np.full(first.size, -1, np.float32)
    support = np.zeros(first.size, np.int64)
    seen = np.empty(first.size, np.int64)
    for t in range(wanted.size):
        if not wanted[t]:
            continue
        num_seen = 0
        # The type itself, then its neighbours.
        for at in range(start[t] - 1, start[t + 1]):
            itself = at < start[t]
            other = t if itself else neighbors[at]
            distance = within[t] if itself else distances[at]
            if distance > threshold:
                continue
            for entry in range(cluster_start[other], cluster_start[other + 1]):
                num_seen = _offer(
                    cluster[entry], distance, count[entry], nearest, support, seen, num_seen
                )
        found[t] = _pick(first, nearest, support, seen, num_seen)
    return found


@kernel
def follow(
    start: Array,
    neighbors: Array,
    distances: Array,
    within: Array,
    threshold: float,
    core: Array,
    num_new: Array,
    first: Array,
    cluster: Array,
) -> None:
    """Core types near core types that are in a cluster follow them into it, one step after another.

    `cluster` [T], changed in place. All of a step choose by the steps before it: no order of types shows.
    """
    nearest = np.full(first.size, -1, np.float32)
    support = np.zeros(first.size, np.int64)
    seen = np.empty(first.size, np.int64)
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
                        cluster[other],
                        distances[at],
                        num_new[other],
                        nearest,
                        support,
                        seen,
                        num_seen,
                    )
            chosen[place] = _pick(first, nearest, support, seen, num_seen)
        for place in range(size):
            cluster[last[place]] = chosen[place]


@kernel
def _offer(
    cluster: int,
    distance: float,
    count: int,
    nearest: Array,
    support: Array,
    seen: Array,
    num_seen: int,
) -> int:
    if support[cluster] == 0:
        seen[num_seen] = cluster
        num_seen += 1
    support[cluster] += count
    # Equal distances whose float64 sums differ in the last bits must tie, those of almost 0 too: so float32, of 1 - d.
    nearest[cluster] = max(nearest[cluster], np.float32(1.0 - distance))
    return num_seen


@kernel
def _pick(first: Array, nearest: Array, support: Array, seen: Array, num_seen: int) -> int:
    """The best of the clusters offered, -1 for none; leaves the scratch arrays as they were at first."""
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
