"""Labels of new images on the Jaccard graph of known and new ones; known labels stay. [ours]

Suffixes: N images in order of sample id, T types of images (`jaccard.py`), C clusters.

DBSCAN (`dbscan.py`) with the labels of known images fixed. A new image is core by the same rule: `min_samples` of all
images within eps. Known core images keep their clusters. A new core image near one joins the nearest one's cluster, and
so, step by step, do the new core images near those. New core images that no such chain connects to a known cluster form
new clusters. A new image that is not core joins the cluster of its nearest core image, known or new. Ties are broken as
in `dbscan.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.arrivals.nearest_cluster import follow, nearest_cluster
from itkm_core.clustering.arrivals.types import touching_clusters, types_near
from itkm_core.clustering.confidence import confidence, members
from itkm_core.clustering.dbscan import Clustering, open_clusters
from itkm_core.clustering.jaccard import TIE_TOLERANCE, JaccardGraph
from itkm_core.clustering.linked_dbscan import core_units
from itkm_core.neighbors.groups import number_in_order

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Placed:
    """Of all N images: `labels` int64, `is_core` bool, those of known images unchanged; `confidence` float32.

    `confidence` is that of `confidence.py`; of known images it is 0 here. `touching` int64 [P, 2]: pairs of
    clusters, lower first, with a core image each within eps of each other, one of the two images new.
    `outliers_near`: known outliers within eps of a new core image.
    """

    labels: Ints
    is_core: Flags
    confidence: npt.NDArray[np.float32]
    touching: Ints
    outliers_near: int


def place_new(
    graph: JaccardGraph,
    labels: Ints,
    is_core: Flags,
    is_new: Flags,
    *,
    eps: float,
    min_samples: int,
    frames: Ints | None = None,
) -> Placed:
    """`labels` int64 [N] and `is_core` bool [N] of the known images; the values of new ones are not read.

    `graph` reaches to eps. New clusters are numbered after the known ones, in order of first member. `frames` int64
    [T]: images of each unit of a type, where the graph joins units (`linked_graph.py`).
    """
    near = graph, eps + TIE_TOLERANCE
    type_of = graph.types.group.astype(np.int64)
    num_types = len(graph.types.first)
    labels = np.where(is_new, -1, labels)
    is_core = is_core & ~is_new
    num_known = int(labels.max(initial=-1)) + 1
    num_new = np.bincount(type_of[is_new], minlength=num_types)
    each = np.ones(num_types, np.int64) if frames is None else frames
    core = core_units(*near, each, min_samples) & (num_new > 0)

    first = _first_rows(labels, is_core, num_known)
    cluster = nearest_cluster(*near, core, members(graph, labels, is_core), first)
    follow(*near, core, num_new, first, cluster)
    apart = open_clusters(*near, core, num_known, cluster)

    # Images of a type apart are a cluster each: numbered, for now, after those that types have in common.
    rows = np.flatnonzero(is_new & core[type_of])
    own = np.where(apart[type_of[rows]], num_known + num_types + rows, cluster[type_of[rows]])
    opened = np.unique(own[own >= num_known])
    labels[rows] = np.where(own < num_known, own, num_known + np.searchsorted(opened, own))
    is_core[rows] = True

    first = _first_rows(labels, is_core, num_known + len(opened))
    cores = members(graph, labels, is_core)
    border = nearest_cluster(*near, (num_new > 0) & ~core, cores, first)
    rows = np.flatnonzero(is_new & ~core[type_of])
    labels[rows] = border[type_of[rows]]
    number_new_clusters(labels, is_new, num_known)

    new_cores, cores = members(graph, labels, is_core & is_new), members(graph, labels, is_core)
    touching: Ints = np.unique(touching_clusters(*near, new_cores, cores), axis=0)
    outliers = np.bincount(type_of[~is_new & (labels < 0)], minlength=num_types)
    return Placed(
        labels,
        is_core,
        confidence(graph, Clustering(labels, is_core), eps=eps, which=is_new, frames=frames),
        touching,
        int(outliers[types_near(*near, core)].sum()),
    )


def _first_rows(labels: Ints, which: Flags, num_clusters: int) -> Ints:
    """The first of the images `which` in each cluster, N for none."""
    first = np.full(num_clusters, len(labels))
    found, row = np.unique(labels[which], return_index=True)
    first[found] = np.flatnonzero(which)[row]
    return first


def number_new_clusters(labels: Ints, is_new: Flags, num_known: int) -> None:
    """Renumber the new clusters in order of first member, after the known ones."""
    rows = np.flatnonzero(is_new & (labels >= num_known))
    labels[rows] = num_known + number_in_order(labels[rows])[0]
