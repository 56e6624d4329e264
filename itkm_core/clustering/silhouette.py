"""Silhouette of a clustering on the sparse Jaccard graph.

Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis", J. Comput. Appl.
Math. 20, 1987: s = (b - a) / max(a, b), a an image's mean distance to the other images of its own cluster, b the
smallest of its mean distances to another one. [ours], to have it in time linear in the graph's edges:

- a pair that is not in the graph counts as d = 1, the maximum, which is the true distance of pairs without a common
  reciprocal neighbour. So values of two clusterings are only comparable on the same graph;
- an outlier counts with s = 0, as Rousseeuw defines it for the only image of a cluster, and is in no other image's b:
  so the mean over all images falls both where clusters merge and where images drop out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.jaccard import TIE_TOLERANCE, JaccardGraph
from itkm_core.neighbors.kernels import Array, kernel, map_blocks, scratch_block


def silhouette(
    graph: JaccardGraph, labels: npt.NDArray[np.int64], *, threads: int = 1
) -> float | None:
    """Mean silhouette of all images, in [-1, 1]; None with fewer than two clusters.

    `labels` int64 [N] as `dbscan` makes them on this graph. The result does not depend on `threads`.
    """
    sizes = np.bincount(labels[labels >= 0])
    if len(sizes) < 2:
        return None
    # Distances beyond the graph's reach count as 1 between the images of a type too.
    far = graph.within > graph.max_distance + TIE_TOLERANCE
    cut = graph._replace(within=np.where(far, 1.0, graph.within))
    num_types = len(graph.within)
    sums = map_blocks(
        lambda a, b: _sums_of_types(cut, labels, sizes, a, b),
        num_types,
        scratch_block(num_types),
        threads,
    )
    return float(np.concatenate(sums).sum() / len(labels))


@kernel
def _sums_of_types(
    graph: JaccardGraph, labels: Array, sizes: Array, first: int, stop: int
) -> Array:
    """For types first..stop, the sum of the silhouettes of their images, float64 [B].

    The images of a type share a cluster, or (see `dbscan`) are the first of a cluster each; then only the
    lowest image's can have members of other types, and the others' silhouettes are 0.
    """
    start, neighbors = graph.pairs
    member_start, members = graph.types.members
    distances, within = graph.distances, graph.within
    result = np.zeros(stop - first)
    # 1 - d summed over the members of a cluster that are near, for the clusters in `touched`.
    near = np.zeros(sizes.size)
    touched = np.empty(sizes.size, np.int64)
    for t in range(first, stop):
        label = labels[members[member_start[t]]]
        if label < 0 or sizes[label] < 2:
            continue
        copies = member_start[t + 1] - member_start[t]
        num_touched = 0
        own = 0.0
        other = 0.0  # the largest mean of 1 - d to another cluster
        if labels[members[member_start[t + 1] - 1]] == label:
            own = (copies - 1) * (1.0 - within[t])
        else:
            copies = 1
            other = 1.0 - within[t]
        for at in range(start[t], start[t + 1]):
            u = neighbors[at]
            begin, last = member_start[u], member_start[u + 1] - 1
            theirs = labels[members[begin]]
            count = last - begin + 1
            if labels[members[last]] != theirs:
                count = 1
                other = max(other, 1.0 - distances[at])
            if theirs == label:
                own += count * (1.0 - distances[at])
            elif theirs >= 0:
                if near[theirs] == 0.0:
                    touched[num_touched] = theirs
                    num_touched += 1
                near[theirs] += count * (1.0 - distances[at])
        for which in touched[:num_touched]:
            other = max(other, near[which] / sizes[which])
            near[which] = 0.0
        a = 1.0 - own / (sizes[label] - 1)
        b = 1.0 - other
        if max(a, b) > 0.0:
            result[t - first] = copies * (b - a) / max(a, b)
    return result
