"""DBSCAN on a graph of units, no two apart in one cluster: docs/definition.md, "Labels from units". [ours]

The images of a unit are at distance 0 of each other, so a unit of min_samples images is core by itself. Where core
units that are apart are connected, their part of the graph is cut at its weakest links: its pairs are joined from the
nearest on (as float32; ties go to the lower types), but for those that would bring two units together that are apart.
A part without such units stays as it is.
"""

from __future__ import annotations

import numpy as np

from itkm_core.clustering.dbscan import Clustering, clustering_of, open_clusters, place_borders
from itkm_core.clustering.jaccard import TIE_TOLERANCE, JaccardGraph
from itkm_core.clustering.linked_graph import Ints, LinkedGraph
from itkm_core.neighbors.csr import Csr
from itkm_core.neighbors.groups import number_in_order
from itkm_core.neighbors.kernels import Array, kernel


def linked_dbscan(
    linked: LinkedGraph, frames: Ints, *, eps: float, min_samples: int, alone: int
) -> Clustering:
    """Clusters of units. frames: images of each unit, int64 [U]. alone: images that a cluster of one unit has at least.

    Units within eps + 1e-6 are neighbours, and core if they and their neighbours have min_samples images between them.
    A unit that is not core joins the nearest core unit's cluster as in `dbscan`, but for clusters with a unit that it
    is apart from; of units that are apart, the one nearest to a core unit chooses first.
    """
    graph = linked.graph
    threshold = eps + TIE_TOLERANCE
    core = core_units(graph, threshold, linked.frames, min_samples)
    part = np.full(len(core), -1)
    single = open_clusters(graph, threshold, core, 0, part)
    _cut(linked, threshold, core, part, single)
    known_by = np.where(core, graph.types.first[part], -1)
    border = np.flatnonzero(~core & (linked.apart.sizes > 0))
    if len(border):
        nearest = _nearest_core(graph, threshold, core).astype(np.float32)
        order = border[np.lexsort((border, nearest[border]))]
        place_borders(graph, threshold, core, single, known_by, order, linked.apart)
    found = clustering_of(graph, core, single, known_by, eps=eps)
    return _with_lone_units(found, frames, alone)


def _cut(linked: LinkedGraph, threshold: float, core: Array, part: Array, single: Array) -> None:
    """Divide the parts that hold core types that are apart; `part` and `single` [T] change in place."""
    graph = linked.graph
    here, there = linked.apart.rows, linked.apart.indices
    wrong = core[here] & core[there] & (part[here] == part[there])
    if not wrong.any():
        return
    cut = core & np.isin(part, part[here[wrong]])
    rows, columns = graph.pairs.rows, graph.pairs.indices
    kept = cut[rows] & cut[columns] & (rows < columns) & (graph.distances <= threshold)
    rows, columns = rows[kept], columns[kept].astype(np.int64)
    order = np.lexsort((columns, rows, graph.distances[kept].astype(np.float32)))
    root = _joined(rows[order], columns[order], linked.apart, len(core))
    lowest = np.full(len(core), len(core))
    types = np.flatnonzero(cut)
    np.minimum.at(lowest, root[types], types)
    part[types] = lowest[root[types]]
    size = np.bincount(part[types], minlength=len(core))
    single[types] = (size[part[types]] == 1) & (graph.within[types] > threshold)


def _with_lone_units(found: Clustering, frames: Ints, alone: int) -> Clustering:
    """A unit of `alone` images that is in no cluster becomes one, and a cluster of one smaller unit none."""
    labels, is_core = found.labels.copy(), found.is_core.copy()
    sizes = np.bincount(labels[labels >= 0], minlength=1)
    by_itself = (labels < 0) | (sizes[labels] == 1)
    large = frames >= alone
    gone, opened = by_itself & ~large, np.flatnonzero((labels < 0) & large)
    labels[gone], is_core[gone] = -1, False
    labels[opened], is_core[opened] = len(labels) + opened, True
    kept = labels >= 0
    labels[kept], _ = number_in_order(labels[kept])
    return Clustering(labels, is_core)


@kernel
def core_units(graph: JaccardGraph, threshold: float, frames: Array, min_samples: int) -> Array:
    """Types, bool [T], of which each unit has `min_samples` images within the threshold, its own `frames` counted."""
    start, neighbors = graph.pairs
    first = graph.types.members.indptr
    core = np.empty(first.size - 1, np.bool_)
    for t in range(core.size):
        count = frames[t]
        if graph.within[t] <= threshold:
            count *= first[t + 1] - first[t]
        for at in range(start[t], start[t + 1]):
            if graph.distances[at] <= threshold:
                other = neighbors[at]
                count += (first[other + 1] - first[other]) * frames[other]
        core[t] = count >= min_samples
    return core


@kernel
def _nearest_core(graph: JaccardGraph, threshold: float, core: Array) -> Array:
    """Distance of each type to the nearest core type, float64 [T]; 2 beyond the threshold."""
    start, neighbors = graph.pairs
    nearest = np.full(core.size, 2.0)
    for t in range(core.size):
        for at in range(start[t], start[t + 1]):
            if core[neighbors[at]] and graph.distances[at] <= threshold:
                nearest[t] = min(nearest[t], graph.distances[at])
    return nearest


@kernel
def _joined(rows: Array, columns: Array, apart: Csr, num_types: int) -> Array:
    """The root of each type after joining pairs (rows[p], columns[p]) one by one, unless that joins two apart."""
    start, strangers = apart
    root = np.arange(num_types)
    # The members of each root as a chained list, and how many pairs apart they have.
    following = np.full(num_types, -1, np.int64)
    last = np.arange(num_types)
    weight = np.empty(num_types, np.int64)
    for t in range(num_types):
        weight[t] = start[t + 1] - start[t]
    for pair in range(rows.size):
        a, b = _root(root, rows[pair]), _root(root, columns[pair])
        if a == b:
            continue
        if weight[a] > weight[b]:
            a, b = b, a
        fits = True
        member = a
        while member >= 0 and fits:
            for at in range(start[member], start[member + 1]):
                if _root(root, strangers[at]) == b:
                    fits = False
                    break
            member = following[member]
        if fits:
            root[a] = b
            following[last[b]] = a
            last[b] = last[a]
            weight[b] += weight[a]
    for t in range(num_types):
        root[t] = _root(root, t)
    return root


@kernel
def _root(root: Array, t: int) -> int:
    while root[t] != t:
        root[t] = root[root[t]]
        t = root[t]
    return t
