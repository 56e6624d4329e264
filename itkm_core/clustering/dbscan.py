"""DBSCAN on the sparse Jaccard graph.

Ester, Kriegel, Sander and Xu, "A Density-Based Algorithm for Discovering Clusters", KDD 1996. There a border
image goes to the first cluster that reaches it, so its label depends on the order of the rows. Here it goes to the
cluster of its nearest core neighbour [ours]: among equally near ones (as float32) to the cluster with more core
neighbours, then to the one whose first core member comes first. Core images and their clusters are the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.jaccard import TIE_TOLERANCE, JaccardGraph
from itkm_core.errors import ConfigError
from itkm_core.neighbors.csr import Csr
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
    threshold = eps + TIE_TOLERANCE
    core = core_types(graph, threshold, min_samples)
    part = np.full(len(core), -1)
    apart = open_clusters(graph, threshold, core, 0, part)
    # A part is named after its lowest type, whose first image is the part's first.
    known_by = np.where(core, graph.types.first[part], -1)
    return clustering_of(graph, core, apart, known_by, eps=eps)


def clustering_of(
    graph: JaccardGraph,
    core: npt.NDArray[np.bool_],
    apart: npt.NDArray[np.bool_],
    known_by: npt.NDArray[np.int64],
    *,
    eps: float,
) -> Clustering:
    """The clustering with these core types.

    `core`, `apart` bool [T]: whether a type's images are core, and a cluster each. `known_by` int64 [T]: the first core
    image of a core type's cluster, which stands for it; of any other type -1, or that of a cluster chosen already, or
    SETTLED for none.
    """
    return Clustering(*_labels(graph, eps + TIE_TOLERANCE, core, apart, known_by))


SETTLED = -2


@kernel
def core_types(graph: JaccardGraph, threshold: float, min_samples: int) -> Array:
    """Types, bool [T], of which each image has `min_samples` images within the threshold, itself counted."""
    start, neighbors = graph.pairs
    first = graph.types.members.indptr  # differences in place: compiling `np.diff` takes 3 s
    core = np.empty(first.size - 1, np.bool_)
    for t in range(core.size):
        count = first[t + 1] - first[t] if graph.within[t] <= threshold else 1
        for at in range(start[t], start[t + 1]):
            if graph.distances[at] <= threshold:
                other = neighbors[at]
                count += first[other + 1] - first[other]
        core[t] = count >= min_samples
    return core


@kernel
def open_clusters(
    graph: JaccardGraph, threshold: float, core: Array, first_number: int, cluster: Array
) -> Array:
    """A cluster for each connected part of the `core` types, bool [T], that have none yet.

    `cluster` [T] (-1: none), changed in place, becomes `first_number` + the lowest type of the part. Returns the types
    (bool [T]) whose images are a cluster each: near neither each other nor another core image.
    """
    start, neighbors = graph.pairs
    apart = np.zeros(core.size, np.bool_)
    stack = np.empty(core.size, np.int64)
    for t in range(core.size):
        if not core[t] or cluster[t] >= 0:
            continue
        cluster[t] = first_number + t
        stack[0] = t
        size = 1
        num_types = 0
        while size:
            size -= 1
            member = stack[size]
            num_types += 1
            for at in range(start[member], start[member + 1]):
                other = neighbors[at]
                if core[other] and cluster[other] < 0 and graph.distances[at] <= threshold:
                    cluster[other] = first_number + t
                    stack[size] = other
                    size += 1
        apart[t] = num_types == 1 and graph.within[t] > threshold
    return apart


@kernel
def _labels(
    graph: JaccardGraph, threshold: float, core: Array, apart: Array, known_by: Array
) -> tuple[Array, Array]:
    """Labels and core flags of images, from a graph over types of images (all of a type alike)."""
    type_of = graph.types.group
    known_by, nobody = known_by.copy(), np.zeros(0, np.int64)
    for t in range(core.size):
        if not core[t] and known_by[t] == -1:
            known_by[t] = _cluster_of_border(graph, threshold, core, apart, known_by, t, nobody)
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
def _cluster_of_border(
    graph: JaccardGraph,
    threshold: float,
    core: Array,
    apart: Array,
    known_by: Array,
    t: int,
    strangers: Array,
) -> int:
    """First core member of the cluster that a type that is not core belongs to, -1 for none.

    strangers: types whose clusters it must not be in.
    """
    start, neighbors = graph.pairs
    member_start, distances = graph.types.members.indptr, graph.distances
    best = -1
    best_distance = np.float32(2)
    best_count = 0
    for at in range(start[t], start[t + 1]):
        other = neighbors[at]
        # float32: equal distances whose float64 sums differ in the last bits must tie.
        distance = np.float32(distances[at])
        if not core[other] or distances[at] > threshold or distance > best_distance:
            continue
        if strangers.size and (known_by[strangers] == known_by[other]).any():
            continue
        count = 0
        for among in range(start[t], start[t + 1]):
            peer = neighbors[among]
            if core[peer] and distances[among] <= threshold and known_by[peer] == known_by[other]:
                count += 1 if apart[peer] else member_start[peer + 1] - member_start[peer]
        if (
            distance < best_distance
            or count > best_count
            or (count == best_count and known_by[other] < best)
        ):
            best = known_by[other]
            best_distance = distance
            best_count = count
    return best


@kernel
def place_borders(
    graph: JaccardGraph,
    threshold: float,
    core: Array,
    apart: Array,
    known_by: Array,
    order: Array,
    strangers: Csr,
) -> None:
    """Choose a cluster for each of the types `order`, one after the other, that are not core: `known_by`, in place.

    strangers: the types whose clusters each type must not be in.
    """
    start, others = strangers
    for t in order:
        mine = others[start[t] : start[t + 1]]
        found = _cluster_of_border(graph, threshold, core, apart, known_by, t, mine)
        known_by[t] = found if found >= 0 else SETTLED
