"""Pseudo-labels from units of images: docs/definition.md, "Labels from units". [ours]"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.confidence import confidence
from itkm_core.clustering.dbscan import Clustering
from itkm_core.clustering.jaccard import JaccardGraph
from itkm_core.clustering.linked_dbscan import linked_dbscan
from itkm_core.clustering.linked_graph import Ints, LinkedGraph, linked_graph
from itkm_core.clustering.options import LabelOptions
from itkm_core.clustering.pseudo_labels import JaccardSpace, PseudoLabels, jaccard_space, order_of
from itkm_core.links.means import unit_vectors
from itkm_core.links.units import Links
from itkm_core.neighbors.unit_rows import unit_rows
from itkm_core.neighbors.workers import Workers


@dataclass(frozen=True)
class LinkedSpace:
    """As `JaccardSpace`, over units: they are what the search compares and the graph joins.

    `linked` is None for N = 0. `unit_of` int64 [N]: the unit of each image, in order of sample id; `back` takes that to
    the order of the input. `frames` int64 [U]: images of each unit. `alone`: see `linked_dbscan`. `neighbors` int32
    [U, k1_used]: lists of units.
    """

    linked: LinkedGraph | None
    unit_of: Ints
    frames: Ints
    alone: int
    back: npt.NDArray[np.intp] | None
    neighbors: npt.NDArray[np.int32]
    parameters: dict[str, Any]

    @property
    def graph(self) -> JaccardGraph | None:
        return None if self.linked is None else self.linked.graph

    def cluster(self, eps: float) -> Clustering:
        """Clusters of units at eps."""
        if self.linked is None:
            return Clustering(np.zeros(0, np.int64), np.zeros(0, bool))
        asked = {"min_samples": self.parameters["min_samples"], "alone": self.alone}
        return linked_dbscan(self.linked, self.frames, eps=eps, **asked)

    def of_images(self, labels: Ints) -> Ints:
        """Labels of units as those of their images, in order of sample id."""
        return labels[self.unit_of]

    def labels_at(self, eps: float) -> PseudoLabels:
        return self.pseudo_labels(self.cluster(eps), eps)

    def pseudo_labels(self, clustering: Clustering, eps: float) -> PseudoLabels:
        """As `labels_at`, from `cluster(eps)`. An image is core and as sure as its unit."""
        support = np.zeros(0, np.float32)
        if self.linked is not None:
            graph, frames = self.linked.graph, self.linked.frames
            support = confidence(graph, clustering, eps=eps, frames=frames)
        rows = self.unit_of if self.back is None else self.unit_of[self.back]
        return PseudoLabels(
            clustering.labels[rows],
            clustering.is_core[rows],
            support[rows],
            int(clustering.labels.max(initial=-1)) + 1,
            {**self.parameters, "eps": float(eps)},
            self.neighbors,
        )


def label_space(
    features: Any,
    options: LabelOptions,
    *,
    sample_ids: npt.ArrayLike | None = None,
    workers: Workers | None = None,
    links: Links | None = None,
) -> JaccardSpace | LinkedSpace:
    """`jaccard_space` of the images, or of their units where `links` (in the order of the rows) are given."""
    if links is None:
        return jaccard_space(features, options, sample_ids=sample_ids, workers=workers)
    rows, links, order = in_order(features, links, sample_ids)
    num = links.num_units
    k1, k2 = (min(each, max(num, 1)) for each in (options.k1, options.k2))
    if 0 < num < options.k1:
        warnings.warn(
            f"{num} units (tracklets, and images of none) are fewer than k1 = {options.k1}: using k1 = {k1}, k2 = {k2}",
            stacklevel=3,
        )
    # cuML clusters images, and knows nothing of units.
    own = replace(options, k1=k1, k2=k2, dbscan="sparse")
    space = jaccard_space(unit_vectors(rows, links.unit_of), own, workers=workers)
    frames = np.bincount(links.unit_of, minlength=num)
    graph = None if space.graph is None else linked_graph(space.graph, frames, links.apart)
    return LinkedSpace(
        graph,
        links.unit_of,
        frames,
        links.alone,
        None if order is None else np.argsort(order),
        space.neighbors,
        {
            **space.parameters,
            **options.record(),
            "num_images": len(rows),
            "num_units": num,
            "num_apart": len(links.apart),
            "alone": links.alone,
        },
    )


def in_order(
    features: Any, links: Links, sample_ids: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.float32], Links, npt.NDArray[np.intp] | None]:
    """Unit rows and links in order of sample id, and that order (see `order_of`)."""
    rows = unit_rows(features)
    order = order_of(sample_ids, len(rows))
    return (rows, links, None) if order is None else (rows[order], links.take(order), order)
