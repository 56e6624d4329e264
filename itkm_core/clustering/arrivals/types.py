"""Kernels: what new core images do to a graph over types of images. [ours]

All take the graph over T types (`start`, `neighbors`, `distances`, `within`) and the `threshold`, eps + 1e-6, first.
`core` bool [T]: types with new images, which are core.
"""

from __future__ import annotations

import numpy as np

from itkm_core.neighbors.kernels import Array, kernel


@kernel
def core_types(
    start: Array,
    neighbors: Array,
    distances: Array,
    within: Array,
    threshold: float,
    sizes: Array,
    num_new: Array,
    min_samples: int,
) -> Array:
    """Types with new images, of which each has `min_samples` images within the threshold, itself counted."""
    core = np.zeros(num_new.size, np.bool_)
    for t in range(num_new.size):
        if num_new[t] == 0:
            continue
        count = sizes[t] if within[t] <= threshold else 1
        for at in range(start[t], start[t + 1]):
            if distances[at] <= threshold:
                count += sizes[neighbors[at]]
        core[t] = count >= min_samples
    return core


@kernel
def open_clusters(
    start: Array,
    neighbors: Array,
    distances: Array,
    within: Array,
    threshold: float,
    core: Array,
    num_known: int,
    cluster: Array,
) -> Array:
    """New clusters of the core types that have none: the parts they hang together in.

    `cluster` [T], changed in place, becomes `num_known` + the lowest type of the part. Returns the types
    (bool [T]) whose new images are a cluster each: near neither each other nor another core image.
    """
    apart = np.zeros(core.size, np.bool_)
    stack = np.empty(core.size, np.int64)
    for t in range(core.size):
        if not core[t] or cluster[t] >= 0:
            continue
        cluster[t] = num_known + t
        stack[0] = t
        size = 1
        num_types = 0
        while size:
            size -= 1
            member = stack[size]
            num_types += 1
            for at in range(start[member], start[member + 1]):
                other = neighbors[at]
                if core[other] and cluster[other] < 0 and distances[at] <= threshold:
                    cluster[other] = num_known + t
                    stack[size] = other
                    size += 1
        apart[t] = num_types == 1 and within[t] > threshold
    return apart


@kernel
def types_near(
    start: Array,
    neighbors: Array,
    distances: Array,
    within: Array,
    threshold: float,
    core: Array,
) -> Array:
    """Types, bool [T], whose images have a new core image within the threshold."""
    near = core & (within <= threshold)
    for t in np.flatnonzero(core):
        for at in range(start[t], start[t + 1]):
            if distances[at] <= threshold:
                near[neighbors[at]] = True
    return near


@kernel
def touching_clusters(
    start: Array,
    neighbors: Array,
    distances: Array,
    within: Array,
    threshold: float,
    own_start: Array,
    own: Array,
    own_count: Array,
    cluster_start: Array,
    cluster: Array,
    count: Array,
) -> Array:
    """Pairs [P, 2] of different clusters, lower first, of a type's `own` images and of those near it; with repeats."""
    pairs = np.empty((64, 2), np.int64)
    size = 0
    for t in range(within.size):
        for mine in own[own_start[t] : own_start[t + 1]]:
            for at in range(start[t] - 1, start[t + 1]):
                itself = at < start[t]
                other = t if itself else neighbors[at]
                if (within[t] if itself else distances[at]) > threshold:
                    continue
                for theirs in cluster[cluster_start[other] : cluster_start[other + 1]]:
                    if theirs != mine:
                        if size == len(pairs):
                            pairs = np.concatenate((pairs, np.empty_like(pairs)))
                        pairs[size, 0] = min(mine, theirs)
                        pairs[size, 1] = max(mine, theirs)
                        size += 1
    return pairs[:size].copy()
