"""DBSCAN on the sparse Jaccard graph.

Ester, Kriegel, Sander and Xu, "A Density-Based Algorithm for Discovering Clusters", KDD 1996. There a border
image goes to the first cluster that reaches it, so its label hangs on the order of the rows. Here it goes to the
cluster of its nearest core neighbour [ours]: among equally near ones (as float32) to the cluster with more core
neighbours, then to the one whose first core member comes first. Core images and their clusters are the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.jaccard import TIE_TOLERANCE, JaccardGraph
from itkm_core.errors import ConfigError
from itkm_core.neighbors.kernels import Array, kernel


@dataclass(frozen=True)
class Clustering:
    """`labels` int64 [N] (-1 noise, else 0.. in order of first member) and `is_core` bool [N]."""

    labels: npt.NDArray[np.int64]
    is_core: npt.NDArray[np.bool_]


def dbscan(graph: JaccardGraph, *, eps: float, min_samples: int) -> Clustering:
    """Clusters of the images of `graph`: neighbours iff d <= eps + 1e-6, core iff min_samples of them.

    An image counts among its own neighbours. Raises ConfigError if the graph does not reach to `eps`.
    """
    if not eps <= graph.max_distance:
        raise ConfigError(
            f"eps is {eps}, but the graph holds distances up to {graph.max_distance}: build it to eps"
        )
    types = graph.types
    pairs = graph.start, graph.neighbors, graph.distances
    threshold = eps + TIE_TOLERANCE
    found = _components(*pairs, graph.within, types.first, types.sizes, threshold, min_samples)
    return Clustering(*_labels(*pairs, types.group, types.sizes, threshold, *found))


def clustering_of(
    graph: JaccardGraph,
    core: npt.NDArray[np.bool_],
    apart: npt.NDArray[np.bool_],
    known_by: npt.NDArray[np.int64],
    *,
    eps: float,
) -> Clustering:
    """The clustering whose core types and clusters of these another DBSCAN found, as `_components` returns them."""
    pairs = graph.start, graph.neighbors, graph.distances
    types, threshold = graph.types, eps + TIE_TOLERANCE
    return Clustering(*_labels(*pairs, types.group, types.sizes, threshold, core, apart, known_by))


@kernel
def _components(
    start: Array,
    neighbors: Array,
    distances: Array,
    within: Array,
    first: Array,
    sizes: Array,
    threshold: float,
    min_samples: int,
) -> tuple[Array, Array, Array]:
    """Of each type: whether it is core, whether its images are a cluster each, and its cluster's first core image.

    That image stands for the cluster. Types are numbered by first image, and unions keep the lower type, so it is
    the first image of a component's root; -1 for a type that is not core.
    """
    num_types = first.size
    core = np.empty(num_types, np.bool_)
    for t in range(num_types):
        count = 1
        if within[t] <= threshold:
            count = sizes[t]
        for at in range(start[t], start[t + 1]):
            if distances[at] <= threshold:
                count += sizes[neighbors[at]]
        core[t] = count >= min_samples
    parent = np.arange(num_types)
    # Images of a core type that are neither near each other nor near another core are a cluster each.
    apart = np.zeros(num_types, np.bool_)
    for t in range(num_types):
        apart[t] = core[t] and within[t] > threshold
        for at in range(start[t], start[t + 1]):
            other = neighbors[at]
            if core[t] and core[other] and distances[at] <= threshold:
                apart[t] = False
                a = _root(parent, t)
                b = _root(parent, other)
                parent[max(a, b)] = min(a, b)
    known_by = np.full(num_types, -1, np.int64)
    for t in range(num_types):
        if core[t]:
            known_by[t] = first[_root(parent, t)]
    return core, apart, known_by


@kernel
def _labels(
    start: Array,
    neighbors: Array,
    distances: Array,
    type_of: Array,
    sizes: Array,
    threshold: float,
    core: Array,
    apart: Array,
    known_by: Array,
) -> tuple[Array, Array]:
    """Labels and core flags of images, from a graph over types of images (all of a type alike)."""
    known_by = known_by.copy()
    for t in range(sizes.size):
        if not core[t]:
            known_by[t] = _cluster_of_border(
                start, neighbors, distances, sizes, threshold, core, apart, known_by, t
            )
    labels = np.full(type_of.size, -1, np.int64)
    is_core = np.empty(type_of.size, np.bool_)
    number = np.full(type_of.size, -1, np.int64)
    num_clusters = 0
    for row in range(type_of.size):
        t = type_of[row]
        is_core[row] = core[t]
        cluster = row if apart[t] else known_by[t]
        if cluster >= 0:
            if number[cluster] < 0:
                number[cluster] = num_clusters
                num_clusters += 1
            labels[row] = number[cluster]
    return labels, is_core


@kernel
def _root(parent: Array, node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@kernel
def _cluster_of_border(
    start: Array,
    neighbors: Array,
    distances: Array,
    sizes: Array,
    threshold: float,
    core: Array,
    apart: Array,
    known_by: Array,
    t: int,
) -> int:
    """First core member of the cluster a type that is not core belongs to, -1 for none."""
    best = -1
    best_distance = np.float32(2)
    best_count = 0
    for at in range(start[t], start[t + 1]):
        other = neighbors[at]
        # float32: equal distances whose float64 sums differ in the last bits must tie.
        distance = np.float32(distances[at])
        if not core[other] or distances[at] > threshold or distance > best_distance:
            continue
        count = 0
        for among in range(start[t], start[t + 1]):
            peer = neighbors[among]
            if core[peer] and distances[among] <= threshold and known_by[peer] == known_by[other]:
                count += 1 if apart[peer] else sizes[peer]
        if (
            distance < best_distance
            or count > best_count
            or (count == best_count and known_by[other] < best)
        ):
            best = known_by[other]
            best_distance = distance
            best_count = count
    return best
