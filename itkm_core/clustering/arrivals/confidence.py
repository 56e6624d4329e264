"""The confidence of `confidence.py` where images of one type may be in several clusters, core or not. [ours]"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from itkm_core.neighbors.kernels import Array, kernel

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Members(NamedTuple):
    """Images by type and cluster: those of type t in `cluster[e]` are `num[e]`, for start[t] <= e < start[t+1]."""

    start: Ints
    cluster: Ints
    num: Ints


def members(type_of: Ints, labels: Ints, which: Flags, num_types: int) -> Members:
    """The images `which` bool [N], all of them in clusters, by type and cluster."""
    num_clusters = max(int(labels.max(initial=-1)) + 1, 1)
    found, num = np.unique(type_of[which] * num_clusters + labels[which], return_counts=True)
    types, cluster = np.divmod(found, num_clusters)
    start = np.searchsorted(types, np.arange(num_types + 1))
    return Members(start.astype(np.int64), cluster, num.astype(np.int64))


def confidence_of(
    edges: tuple[object, ...],
    types: Ints,
    labels: Ints,
    is_core: Flags,
    cores: Members,
    others: Members,
) -> npt.NDArray[np.float32]:
    """Confidence, float32 [P], of images of `types` in the clusters `labels`; `edges`: see `nearest_cluster.py`.

    `cores`, `others`: all images in clusters that are core, and that are not. Of each type new images are all core, or
    none is.
    """
    num_clusters = max(int(labels.max(initial=-1)) + 1, 1)
    _, example, alike = np.unique(
        types * num_clusters + labels, return_index=True, return_inverse=True
    )
    one_of_each = types[example], labels[example], is_core[example]
    values: npt.NDArray[np.float32] = _mean_similarity(*edges, *one_of_each, *cores, *others)
    return values[alike]


@kernel
def _mean_similarity(
    start: Array,
    neighbors: Array,
    distances: Array,
    within: Array,
    threshold: float,
    types: Array,
    labels: Array,
    is_core: Array,
    core_start: Array,
    core_cluster: Array,
    core_count: Array,
    other_start: Array,
    other_cluster: Array,
    other_count: Array,
) -> Array:
    values = np.zeros(types.size, np.float32)
    for p in range(types.size):
        t = types[p]
        total = 0.0
        num = 0
        border_total = 0.0
        border_num = 0
        for at in range(start[t] - 1, start[t + 1]):
            itself = at < start[t]
            other = t if itself else neighbors[at]
            distance = within[t] if itself else distances[at]
            if distance > threshold:
                continue
            cores = _count(core_start, core_cluster, core_count, other, labels[p])
            border = _count(other_start, other_cluster, other_count, other, labels[p])
            if itself and is_core[p]:
                cores -= 1
            total += cores * (1.0 - distance)
            num += cores
            border_total += border * (1.0 - distance)
            border_num += border
        if num > 0:
            values[p] = min(total / num, 1.0)
        elif is_core[p] and border_num > 0:
            values[p] = min(border_total / border_num, 1.0)
    return values


@kernel
def _count(cluster_start: Array, cluster: Array, count: Array, of_type: int, label: int) -> int:
    part = cluster[cluster_start[of_type] : cluster_start[of_type + 1]]
    at = np.searchsorted(part, label)
    return count[cluster_start[of_type] + at] if at < part.size and part[at] == label else 0
