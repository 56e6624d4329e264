"""The Jaccard graph of units, without the pairs apart: docs/definition.md, "Labels from units". [ours]

Suffixes: U units, T types (units that are neighbours of the same units at the same distances, see `jaccard.py`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.jaccard import JaccardGraph
from itkm_core.neighbors.csr import Csr, csr_of_pairs, row_starts
from itkm_core.neighbors.equal_rows import Groups
from itkm_core.neighbors.groups import number_in_order

Ints = npt.NDArray[np.int64]


class LinkedGraph(NamedTuple):
    """`graph` over units, without the pairs apart. All units of a type have as many images, `frames` int64 [T], and a
    unit that is apart from another is a type of its own. `apart`: the types that each type is apart from, ascending.
    """

    graph: JaccardGraph
    frames: Ints
    apart: Csr


def linked_graph(graph: JaccardGraph, frames: Ints, apart: Ints) -> LinkedGraph:
    """frames: images of each unit, int64 [U]. apart: pairs of units int64 [P, 2]."""
    alone = np.full(len(frames), -1)
    alone[apart.ravel()] = apart.ravel()
    graph = _refined(graph, np.stack([frames, alone], axis=1))
    of_types = graph.types.group[apart].astype(np.int64)
    both = np.concatenate([of_types, of_types[:, ::-1]])
    pairs = csr_of_pairs(both[:, 0], both[:, 1], len(graph.within))
    width = len(graph.within)
    mine, theirs = graph.pairs.rows * width + graph.pairs.indices, pairs.rows * width
    kept = ~np.isin(mine, theirs + pairs.indices)
    sizes = np.bincount(graph.pairs.rows[kept], minlength=width)
    near = Csr(row_starts(sizes), graph.pairs.indices[kept])
    graph = graph._replace(pairs=near, distances=graph.distances[kept])
    return LinkedGraph(graph, frames[graph.types.first], pairs)


def _refined(graph: JaccardGraph, kinds: Ints) -> JaccardGraph:
    """The same graph, with types divided until the units of each agree in `kinds` int64 [U, K]."""
    old = graph.types.group.astype(np.int64)
    group, first = number_in_order(old, *kinds.T)
    if len(first) == len(graph.within):
        return graph
    # Every pair of old types, and each old type with itself, becomes the pairs of what they were divided into.
    parts = csr_of_pairs(old[first], np.arange(len(first)), len(graph.within))
    divided = np.flatnonzero(parts.sizes > 1)
    divided = divided[graph.within[divided] <= graph.max_distance]
    rows = np.concatenate([graph.pairs.rows, divided])
    columns = np.concatenate([graph.pairs.indices.astype(np.int64), divided])
    distances = np.concatenate([graph.distances, graph.within[divided]])
    num = parts.sizes[rows] * parts.sizes[columns]
    of = np.repeat(np.arange(len(rows)), num)
    place = np.arange(len(of)) - np.repeat(np.cumsum(num) - num, num)
    mine = parts.indptr[rows[of]] + place // parts.sizes[columns[of]]
    theirs = parts.indptr[columns[of]] + place % parts.sizes[columns[of]]
    mine, theirs = parts.indices[mine], parts.indices[theirs]
    kept = mine != theirs
    mine, theirs, of = mine[kept], theirs[kept], of[kept]
    order = np.lexsort((theirs, mine))
    start = row_starts(np.bincount(mine, minlength=len(first)))
    members = Csr(
        row_starts(np.bincount(group, minlength=len(first))),
        np.argsort(group, kind="stable").astype(np.int32),
    )
    return JaccardGraph(
        Groups(group.astype(np.int32), first.astype(np.int64), members),
        Csr(start, theirs[order].astype(np.int32)),
        distances[of[order]],
        graph.within[old[first]],
        graph.max_distance,
    )
