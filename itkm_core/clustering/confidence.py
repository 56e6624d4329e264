"""How well the images of a cluster support each member. [ours]"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.dbscan import Clustering
from itkm_core.clustering.jaccard import TIE_TOLERANCE, JaccardGraph
from itkm_core.neighbors.kernels import Array, kernel


def confidence(
    graph: JaccardGraph, clustering: Clustering, *, eps: float
) -> npt.NDArray[np.float32]:
    """Mean of 1 - d over a member's neighbours that are core images of its own cluster: float32 [N] in [0, 1].

    The image itself does not count. The only core image of a cluster is measured against the border images
    near it, and a cluster of one image has confidence 0, as an outlier has. On made-up people this told wrong
    members from right ones more steadily than the nearest core image, the number of core neighbours or the
    share of the encoding's weight inside the cluster.
    """
    types = graph.types
    values: npt.NDArray[np.float32] = _mean_similarity(
        graph.start,
        graph.neighbors,
        graph.distances,
        graph.within,
        types.group,
        types.start,
        types.members,
        clustering.labels,
        clustering.is_core,
        eps + TIE_TOLERANCE,
    )
    return values


@kernel
def _mean_similarity(
    start: Array,
    neighbors: Array,
    distances: Array,
    within: Array,
    type_of: Array,
    member_start: Array,
    members: Array,
    labels: Array,
    is_core: Array,
    threshold: float,
) -> Array:
    result = np.zeros(labels.size, np.float32)
    for row in range(labels.size):
        if labels[row] < 0:
            continue
        core_sum = 0.0
        core_count = 0
        border_sum = 0.0
        border_count = 0
        own = type_of[row]
        mates = _num_with_label(member_start, members, labels, own, labels[row]) - 1
        if within[own] <= threshold and is_core[row]:
            core_sum = mates * (1.0 - within[own])
            core_count = mates
        for at in range(start[own], start[own + 1]):
            if distances[at] <= threshold:
                other = neighbors[at]
                count = _num_with_label(member_start, members, labels, other, labels[row])
                if is_core[members[member_start[other]]]:
                    core_sum += count * (1.0 - distances[at])
                    core_count += count
                else:
                    border_sum += count * (1.0 - distances[at])
                    border_count += count
        if core_count > 0:
            result[row] = min(core_sum / core_count, 1.0)
        elif border_count > 0 and is_core[row]:
            result[row] = min(border_sum / border_count, 1.0)
    return result


@kernel
def _num_with_label(
    member_start: Array, members: Array, labels: Array, of_type: int, label: int
) -> int:
    """Images of a type in a cluster. A type's images share one, or are a cluster each (see `dbscan`)."""
    first = member_start[of_type]
    last = member_start[of_type + 1] - 1
    if labels[members[first]] == labels[members[last]]:
        return last - first + 1 if labels[members[first]] == label else 0
    # A cluster each: a border image's nearest one is the first; another row of the type asks for itself.
    return 1 if labels[members[first]] == label else 0
