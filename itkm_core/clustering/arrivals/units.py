"""Labels of new units of images among known ones: docs/definition.md, "Labels from units". [ours]"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from itkm_core.clustering.arrivals.rule import Flags, Ints, Placed, number_new_clusters, place_new
from itkm_core.clustering.confidence import confidence
from itkm_core.clustering.dbscan import Clustering
from itkm_core.clustering.linked_graph import LinkedGraph


def place_units(
    linked: LinkedGraph,
    frames: Ints,
    apart: Ints,
    labels: Ints,
    is_core: Flags,
    is_new: Flags,
    *,
    eps: float,
    min_samples: int,
    alone: int,
) -> Placed:
    """As `place_new`, for units of `frames` int64 [N] images; `apart` int64 [P, 2]: pairs of new ones.

    Of new units in one cluster that are apart, the surest stays (then the lower); the others leave it. A new unit in no
    cluster becomes one if it has `alone` images, and a new cluster of one smaller unit none.
    """
    placed = place_new(
        linked.graph,
        labels,
        is_core,
        is_new,
        eps=eps,
        min_samples=min_samples,
        frames=linked.frames,
    )
    labels, is_core = placed.labels.copy(), placed.is_core.copy()
    num_known = int(labels[~is_new].max(initial=-1)) + 1
    labels[_that_leave(placed, apart)] = -1
    sizes = np.bincount(labels[labels >= 0], minlength=num_known + 1)
    small = is_new & (labels >= num_known) & (sizes[labels] == 1) & (frames < alone)
    labels[small] = -1
    is_core[is_new & (labels < 0)] = False
    opened = np.flatnonzero(is_new & (labels < 0) & (frames >= alone))
    labels[opened], is_core[opened] = len(labels) + num_known + opened, True
    number_new_clusters(labels, is_new, num_known)
    support = confidence(
        linked.graph, Clustering(labels, is_core), eps=eps, which=is_new, frames=linked.frames
    )
    return replace(placed, labels=labels, is_core=is_core, confidence=support)


def _that_leave(placed: Placed, apart: Ints) -> Ints:
    """The units that leave their cluster, since it has one that they are apart from."""
    both = placed.labels[apart]
    wrong = apart[(both[:, 0] == both[:, 1]) & (both[:, 0] >= 0)]
    strangers: dict[int, list[int]] = {}
    for a, b in wrong.tolist():
        strangers.setdefault(a, []).append(b)
        strangers.setdefault(b, []).append(a)
    gone: set[int] = set()
    stay: set[int] = set()
    for unit in sorted(strangers, key=lambda unit: (-placed.confidence[unit], unit)):
        (gone if stay.intersection(strangers[unit]) else stay).add(unit)
    return np.array(sorted(gone), np.int64)
